"""Configurations of Gatus as jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importers.import_context import ImportOptions
from importers.ledger import UNKNOWN_KEY, LeafOutcome
from importers.report import ImportReport
from importers.running import detect_source
from tests.config.importers.importing import details, import_text, leaf_paths, outcomes, read_jobs, text_file
from tests.project import ROOT

FULL = (ROOT / "tests/data/importers/gatus-full.yaml").read_text()


@pytest.fixture(scope="module")
def full() -> ImportReport:
    return import_text("gatus", FULL)


def endpoint(keys: str, conditions: str = '["[STATUS] == 200"]') -> dict[str, Any]:
    """The definition of the only job."""
    report = import_text("gatus", f"endpoints: [{{name: shop, conditions: {conditions}, {keys}}}]")
    (definition,) = report.definitions.values()
    read_jobs(report)
    return dict(definition)


def test_each_documented_key_has_a_known_outcome(full: ImportReport) -> None:
    assert [entry.key for entry in full.entries if entry.detail == UNKNOWN_KEY] == []
    assert detect_source([text_file(FULL)]) == "gatus"


def test_all_jobs_are_valid(full: ImportReport) -> None:
    kinds = {name: job.check.kind for name, job in read_jobs(full).items()}
    assert kinds == {
        "core-front-end": "http",
        "query": "http",
        "dns": "dns",
        "reverse": "dns",
        "redis": "tcp",
        "closed": "tcp",
        "mail": "tcp",
        "tls": "tls",
        "ssh": "tcp",
        "google": "http",
        "core-nightly-job": "heartbeat",
        "pushed": "heartbeat",
        "shop-order": "steps",
    }


def test_no_secret_is_written(full: ImportReport) -> None:
    text = full.text + json.dumps(full.to_json())
    assert "4711" not in text
    purposes = {secret.name for secret in full.secrets}
    assert purposes >= {
        "core-front-end-password",
        "core-front-end-token",
        "core-front-end-client-certificate",
        "query-client-secret",
        "gatus-slack-webhook-url",
        "gatus-pagerduty-integration-key",
        "gatus-email-password",
        "core-nightly-job-token",
    }


def test_an_http_endpoint(full: ImportReport) -> None:
    job = full.definitions["core-front-end"]
    assert job["description"] == "Front End"
    assert job["schedule"] == {"every": "30s"}
    assert job["tags"] == {"group": "core", "team": "shop"}
    assert job["timeout"] == {"attempt": "3s", "run": "8s"}
    assert job["retry"] == {"attempts": 1}
    assert job["expect"] == [
        {"status": "100-299"},
        {"json": "$.status", "equals": "UP"},
        {"response_time_below": "500ms"},
        {"certificate_valid_for": "3d"},
    ]
    check = job["check"]
    assert check["url"] == "https://shop.example/health"
    assert check["query"] == {"token": {"secret": "core-front-end-token"}}
    assert check["redirects"] == 0
    assert check["body"] == {"text": '{"probe": "Front End"}', "content_type": "application/json"}
    assert check["tls"]["verify"] is False


def test_alerts_and_channels(full: ImportReport) -> None:
    assert full.definitions["core-front-end"]["alerts"] == [
        {"name": "slack", "open_after": 5, "close_after": 3, "notify": "gatus-slack"},
        {"name": "pagerduty", "open_after": 2, "close_after": 1, "remind_every": "30m", "notify": "gatus-pagerduty"},
        {"name": "telegram", "open_after": 3, "close_after": 2},
    ]
    found = details(full)
    assert found["endpoints[0].alerts[2].type"].startswith("its provider is not imported")
    assert found["alerting.telegram.token"].startswith("there is no channel of this kind")
    assert outcomes(full)["alerting.slack.default-alert.failure-threshold"] == "changed"


def test_other_kinds(full: ImportReport) -> None:
    jobs = full.definitions
    assert jobs["dns"]["check"] == {"kind": "dns", "server": "8.8.8.8", "name": "shop.example", "type": "MX"}
    assert jobs["reverse"]["check"]["name"] == "7.0.0.10.in-addr.arpa"
    assert jobs["reverse"]["expect"][0] == {"answers": {"contains": "host.example"}}
    assert jobs["redis"]["check"]["dialogue"] == [{"send": "PING\r\n"}, {"receive": "(?s)."}]
    assert "connection_refused" in jobs["closed"]["expect"][0]["error"]
    assert jobs["mail"]["check"]["dialogue"][-1] == {"starttls": True}
    assert jobs["tls"]["check"]["tls"] == {"verify": False}
    assert jobs["ssh"]["check"]["port"] == 22


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("endpoints[9].url", "no command is run by SSH"),
        ("endpoints[10].url", "there is no check by ping"),
        ("endpoints[11].url", "there is no check by UDP"),
        ("endpoints[12].url", "there is no check by SCTP"),
        ("endpoints[13].url", "there is no check by WebSocket"),
        ("endpoints[14].url", "there is no check by gRPC"),
        ("endpoints[0].conditions[4]", "the expiry of a domain is not looked up"),
        ("endpoints[0].client.tunnel", "there are no SSH tunnels"),
        ("tunneling.jump.password", "there are no SSH tunnels"),
        ("concurrency", "the setting max_running"),
    ],
)
def test_what_is_not_carried_over(full: ImportReport, key: str, reason: str) -> None:
    assert reason in details(full)[key]
    assert outcomes(full)[key] == "not carried over"


def test_an_external_endpoint_is_a_heartbeat(full: ImportReport) -> None:
    check = full.definitions["core-nightly-job"]["check"]
    assert check == {"kind": "heartbeat", "token": {"secret": "core-nightly-job-token"}, "period": "1d", "grace": "1s"}


def test_a_suite_is_a_job_of_steps(full: ImportReport) -> None:
    job = full.definitions["shop-order"]
    create, read = job["check"]["steps"]
    (remove,) = job["check"]["cleanup"]
    assert create["body"]["text"] == '{"price": "19.99", "note": "costs $$5"}'
    assert create["save"] == {"order_id": {"json": "$.id"}}
    assert create["expect"][1] == {"json": "$.price", "one_of": [19.99, "19.99"]}
    assert read["url"] == remove["url"] == "https://shop.example/orders/${order_id}"
    assert job["timeout"] == {"attempt": "30s", "run": "30s"}


def test_the_context_of_a_suite_can_be_nested() -> None:
    text = """
suites:
  - name: s
    context: {user: {id: 5}, list: [1]}
    endpoints:
      - {name: one, url: "https://a.example/[CONTEXT].user.id", conditions: ["[BODY].id == [CONTEXT].user.id"]}
"""
    report = import_text("gatus", text)
    (step,) = report.definitions["s"]["check"]["steps"]
    assert step["url"] == "https://a.example/5"
    assert step["expect"][:2] == [{"json": "$.id", "at_least": 5}, {"json": "$.id", "at_most": 5}]
    assert outcomes(report)["suites[0].context.list[0]"] == "not carried over"


def test_anchors_and_merges() -> None:
    text = """
x-defaults: &defaults
  interval: 30s
  conditions: ["[STATUS] == 204"]
endpoints:
  - {name: a, url: "https://a.example", <<: *defaults}
new-key: {a: 1}
"""
    report = import_text("gatus", text)
    assert report.definitions["a"]["schedule"] == {"every": "30s"}
    assert report.definitions["a"]["expect"] == [{"status": "204"}]
    assert outcomes(report)["x-defaults.interval"] == "changed"
    assert details(report)["new-key.a"] == UNKNOWN_KEY


def test_windows(full: ImportReport) -> None:
    text = full.text
    assert 'cron: "0 0 23 * * MON,THU"' in text
    assert "core-front-end-maintenance" in text
    read_jobs(full)


def test_without_a_condition_about_the_status_each_status_is_accepted() -> None:
    assert endpoint("url: https://a.example", '["[BODY] == x"]')["expect"][-1] == {"status": "100-599"}


def test_defaults_are_those_of_gatus() -> None:
    job = endpoint("url: https://a.example")
    assert job["schedule"] == {"every": "1m"}
    assert job["timeout"]["attempt"] == "10s"


def test_known_variables_are_replaced_and_others_are_secrets_or_reported() -> None:
    text = """
endpoints:
  - {name: a, url: "https://${HOST}/$$x", headers: {X-Api-Key: "${SHOP_KEY}"}, conditions: ["[STATUS] == $CODE"]}
  - {name: b, url: "https://${UNKNOWN}/", conditions: ["[STATUS] == 200"]}
  - {name: c, url: "https://c.example/", conditions: ["[BODY] == $UNKNOWN"]}
"""
    report = import_text("gatus", text, options=ImportOptions({"HOST": "a.example", "CODE": "204"}))
    job = report.definitions["a"]
    assert job["check"]["url"] == "https://a.example/$x"
    assert job["check"]["headers"] == {"X-Api-Key": {"secret": "shop-key"}}
    assert job["expect"] == [{"status": "204"}]
    assert "b" not in report.definitions
    assert details(report)["endpoints[1].url"] == "the value of the variable UNKNOWN is not known --set UNKNOWN=VALUE"
    assert outcomes(report)["endpoints[2].conditions[0]"] == "not carried over"


def test_several_files_share_their_providers() -> None:
    alerts = text_file("alerting: {slack: {webhook-url: https://hooks.example/x}}", "alerting.yaml")
    endpoints = "endpoints: [{name: a, url: https://a.example, conditions: ['1 == 1'], alerts: [{type: slack}]}]"
    report = import_text("gatus", endpoints, alerts)
    assert report.definitions["a"]["alerts"][0]["notify"] == "gatus-slack"


NAMES = st.sampled_from(
    ["name", "url", "group", "method", "body", "headers", "conditions", "client", "timeout", "interval", "enabled",
     "ui", "alerts", "type", "dns", "query-name", "query-type", "ssh", "store", "endpoints", "token", "heartbeat",
     "context", "graphql", "insecure", "oauth2", "tls", "proxy-url", "maintenance-windows", "start", "duration",
     "every", "other"]
)  # fmt: skip
SCALARS = st.sampled_from(
    [None, True, 5, 1.5, "", "shop", "https://a.example/", "tcp://a.example:1", "30s", "[STATUS] == 200", "8.8.8.8",
     "MX", "[BODY].a[0] != any(1, x)", "${X}", "slack", "23:00", "Monday", "http://u:p4711@a.example/?token=t"]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=20
)
SECTIONS = st.sampled_from(["endpoints", "external-endpoints", "suites", "alerting", "maintenance", "web", "new-key"])


@given(st.dictionaries(SECTIONS, VALUES | st.lists(st.dictionaries(NAMES, VALUES, max_size=8), max_size=3), min_size=1))
def test_each_leaf_of_any_document_is_reported_and_each_job_is_valid(document: Any) -> None:
    report = import_text("gatus", json.dumps(document), name="gatus.json")
    paths = [entry.path for entry in report.entries]
    assert len(paths) == len(set(paths))
    assert set(paths) == leaf_paths(document)
    assert all(entry.detail for entry in report.entries if entry.outcome is LeafOutcome.NOT_CARRIED_OVER)
    read_jobs(report)
