"""Tests of Datadog Synthetics as jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from importers.import_context import ImportOptions
from importers.report import ImportReport
from importers.running import detect_source
from importers.source_tree import UnreadableSource
from tests.config.importers.importing import details, import_text, leaf_paths, outcomes, read_jobs, text_file

DATA = Path(__file__).parents[3] / "data/importers/datadog"
TEXT = (DATA / "tests.json").read_text()
VARIABLES = (DATA / "variables.json").read_text()


def _import(
    subtype: str = "http",
    request: dict[str, Any] | None = None,
    assertions: list[Any] | None = None,
    options: dict[str, Any] | None = None,
    values: dict[str, str] | None = None,
    **config: Any,
) -> ImportReport:
    sent = {"url": "https://shop.example/", **(request or {})} if subtype == "http" else request
    test = {
        "name": "shop",
        "type": "api",
        "subtype": subtype,
        "config": {"request": sent, "assertions": assertions or [], **config},
        "options": {"tick_every": 60, **(options or {})},
    }
    return import_text("datadog", json.dumps({"tests": [test]}), options=ImportOptions(values or {}))


def _job(*args: Any, **more: Any) -> dict[str, Any]:
    report = _import(*args, **more)
    read_jobs(report)
    (job,) = report.definitions.values()
    return dict(job)


def _expectations(*assertions: dict[str, Any]) -> list[Any]:
    return list(_job(assertions=list(assertions))["expect"])


def test_each_leaf_is_reported_and_none_is_unknown() -> None:
    report = import_text("datadog", TEXT, text_file(VARIABLES, "variables.json"))
    assert {entry.path for entry in report.entries if entry.file == "source.yaml"} == leaf_paths(json.loads(TEXT))
    assert {entry.path for entry in report.entries if entry.file == "variables.json"} == leaf_paths(
        json.loads(VARIABLES)
    )
    assert [entry.key for entry in report.entries if "does not know this key" in entry.detail] == []


def test_the_written_jobs_are_valid_and_without_secrets() -> None:
    report = import_text("datadog", TEXT)
    assert list(read_jobs(report)) == ["shop-health", "certificate", "name", "port", "order", "live", "grpc"]
    written = f"{report.text}{report.to_json()}"
    assert "passw0rd" not in written
    assert "c0de-of-the-health" not in written


def test_an_answer_is_detected() -> None:
    assert detect_source([text_file(TEXT)]) == "datadog"


def test_one_test_alone() -> None:
    assert list(import_text("datadog", json.dumps(json.loads(TEXT)["tests"][3])).definitions) == ["port"]


@pytest.mark.parametrize("text", ["{}", "[]", '{"errors": ["Forbidden"]}'])
def test_json_without_tests(text: str) -> None:
    with pytest.raises(UnreadableSource, match="has no tests"):
        import_text("datadog", text)


@pytest.mark.parametrize(
    ("operator", "target", "status"),
    [
        ("is", 204, 204),
        ("is", "200", 200),
        ("lessThan", 400, "100-399"),
        ("lessThanOrEqual", 299, "100-299"),
        ("moreThan", 499, "500-599"),
        ("matches", "2\\d{2}", "200-299"),
        ("doesNotMatch", "^5", "100-499"),
        ("contains", "40", ["140", "240", "340", "400-409", "440", "540"]),
    ],
)
def test_statuses(operator: str, target: Any, status: Any) -> None:
    (entry,) = _expectations({"type": "statusCode", "operator": operator, "target": target})
    expected = (
        [int(one) if isinstance(one, str) and one.isdecimal() else one for one in status]
        if isinstance(status, list)
        else status
    )
    assert entry == {"status": expected}


def test_a_status_that_is_excluded() -> None:
    assert {"status_not": "404"} in _expectations({"type": "statusCode", "operator": "isNot", "target": 404})


def test_without_an_assertion_about_it_each_status_is_accepted() -> None:
    assert _job()["expect"] == [{"status": "100-599"}]


@pytest.mark.parametrize(
    ("assertion", "entry"),
    [
        ({"type": "responseTime", "operator": "lessThan", "target": 800}, {"response_time_below": "800ms"}),
        ({"type": "body", "operator": "contains", "target": "ok"}, {"body_contains": "ok"}),
        ({"type": "body", "operator": "doesNotContain", "target": "no"}, {"body_not_contains": "no"}),
        ({"type": "body", "operator": "is", "target": "pong"}, {"body": {"equals": "pong"}}),
        ({"type": "body", "operator": "matches", "target": "^a"}, {"body_matches": "^a"}),
        ({"type": "header", "property": "etag", "operator": "is", "target": "a"}, {"header": "etag", "equals": "a"}),
        ({"type": "header", "property": "age", "operator": "moreThan", "target": "5"}, {"header": "age", "above": 5}),
        ({"type": "header", "property": "via", "operator": "isUndefined"}, {"header": "via", "exists": False}),
        ({"type": "bodyHash", "operator": "sha256", "target": "ab" * 32}, {"body_hash": {"sha256": "ab" * 32}}),
        (
            {
                "type": "body",
                "operator": "validatesJSONPath",
                "target": {"jsonPath": "$.n", "operator": "is", "targetValue": "7"},
            },
            {"json": "$.n", "like": "7"},
        ),
        (
            {"type": "body", "operator": "validatesJSONPath", "target": {"jsonPath": "a.b", "operator": "isUndefined"}},
            {"json": "$.a.b", "exists": False},
        ),
    ],
)
def test_assertions(assertion: dict[str, Any], entry: dict[str, Any]) -> None:
    assert _expectations(assertion)[0] == entry


@pytest.mark.parametrize(
    "assertion",
    [
        {"type": "body", "operator": "validatesXPath", "target": {}},
        {"type": "body", "operator": "validatesJSONSchema", "target": {}},
        {"type": "javascript", "code": "x"},
        {"type": "bodyHash", "operator": "md5", "target": "a"},
        {"type": "responseTime", "operator": "moreThan", "target": 5},
        {"type": "statusCode", "operator": "matches", "target": "("},
        {"type": "statusCode", "operator": "lessThan", "target": "many"},
        {"type": "holography"},
    ],
)
def test_an_assertion_without_an_equivalent_is_lost_alone(assertion: dict[str, Any]) -> None:
    report = _import(assertions=[assertion, {"type": "body", "operator": "contains", "target": "ok"}])
    assert {"body_contains": "ok"} in report.definitions["shop"]["expect"]
    assert outcomes(report)["tests[0].config.assertions[0].type"] == "not carried over"


def test_a_certificate() -> None:
    job = _job(
        "ssl",
        {"host": "shop.example", "port": 8443},
        [
            {"type": "certificate", "operator": "isInMoreThan", "target": 30},
            {"type": "certificate", "operator": "isInLessThan", "target": 400},
            {"type": "tlsVersion", "operator": "is", "target": "1.3"},
            {"type": "property", "property": "subject.CN", "operator": "is", "target": "shop.example"},
        ],
    )
    assert job["check"] == {"kind": "tls", "host": "shop.example", "port": 8443}
    assert job["expect"] == [
        {"certificate_valid_for": "30d"},
        {"cel": "certificate.days_left < 400"},
        {"tls_version": ["TLSv1.3"]},
        {"cel": 'certificate.subject == "shop.example"'},
    ]


def test_records_of_several_types_are_not_one_query() -> None:
    records = [{"type": "recordSome", "property": kind, "operator": "is", "target": "a"} for kind in ("A", "MX")]
    assert _import("dns", {"host": "shop.example"}, records).definitions == {}


def test_retries() -> None:
    job = _job(request={"timeout": 30}, options={"retry": {"count": 2, "interval": 2000}})
    assert (job["retry"]["attempts"], job["retry"]["initial"]) == (3, "2s")
    assert job["timeout"] == {"attempt": "30s", "run": "1m34s"}


def test_more_retries_than_fit_into_a_run() -> None:
    report = _import(request={"timeout": 300}, options={"retry": {"count": 5, "interval": 1000}})
    assert report.definitions["shop"]["retry"]["attempts"] == 1
    assert "at most 8 minutes" in details(report)["tests[0].options.retry.count"]


def test_the_alert() -> None:
    options = {"min_failure_duration": 600, "monitor_priority": 4, "monitor_options": {"renotify_interval": 30}}
    assert _job(options=options)["alerts"] == [
        {"open_after": 1, "for": "10m", "severity": "degraded", "remind_every": "30m"}
    ]


@pytest.mark.parametrize(("follow", "redirects"), [(None, 0), (False, 0), (True, None)])
def test_redirects_are_not_followed_unless_the_test_does(follow: Any, redirects: Any) -> None:
    assert _job(options={} if follow is None else {"follow_redirects": follow})["check"].get("redirects") == redirects


@pytest.mark.parametrize("kind", ["digest", "ntlm", "sigv4", "oauth-rop", "jwt", "magic"])
def test_a_test_whose_credentials_cannot_be_sent_is_not_imported(kind: str) -> None:
    assert _import(request={"basicAuth": {"type": kind}}).definitions == {}


def test_a_token_for_a_client() -> None:
    auth = {
        "type": "oauth-client",
        "accessTokenUrl": "https://login.example/token",
        "clientId": "probe",
        "clientSecret": "client-s3cret",
        "scope": "read",
        "tokenApiAuthentication": "body",
    }
    assert _job(request={"basicAuth": auth})["check"]["auth"] == {
        "kind": "oauth2",
        "token_url": "https://login.example/token",
        "client_id": "probe",
        "client_secret": {"secret": "shop-client-secret"},
        "scope": "read",
        "style": "body",
    }


def test_a_certificate_whose_file_the_api_does_not_return_is_a_secret_to_provide() -> None:
    report = _import(request={"certificate": {"cert": {"filename": "a.pem"}, "key": {"filename": "a.key"}}})
    assert report.definitions["shop"]["check"]["tls"] == {"client_certificate": {"secret": "shop-client-certificate"}}
    assert "in PEM form" in report.secrets[0].purpose


GLOBAL = [{"name": "REGION", "type": "global", "id": "1"}]


def test_a_global_variable_of_the_second_file() -> None:
    test = json.loads(TEXT)["tests"][3] | {"subtype": "http"}
    test["config"] = {"request": {"url": "https://{{ REGION }}.shop.example/"}, "configVariables": GLOBAL}
    report = import_text("datadog", json.dumps([test]), text_file(VARIABLES, "variables.json"))
    assert report.definitions["port"]["check"]["url"] == "https://eu.shop.example/"


def test_a_global_variable_of_the_command_line() -> None:
    job = _job(request={"url": "https://{{ REGION }}.shop.example/"}, values={"REGION": "us"}, configVariables=GLOBAL)
    assert job["check"]["url"] == "https://us.shop.example/"


def test_a_url_with_a_variable_without_a_value_prevents_the_job() -> None:
    report = _import(request={"url": "https://{{ REGION }}.shop.example/"}, configVariables=GLOBAL)
    assert report.definitions == {}
    assert "variable REGION has no value" in details(report)["tests[0].config.request.url"]


@pytest.mark.parametrize("subtype", ["icmp", "udp", "mcp", "telepathy"])
def test_subtypes_without_an_equivalent(subtype: str) -> None:
    report = _import(subtype, {"host": "router.internal"})
    assert report.definitions == {}
    assert set(outcomes(report).values()) == {"not carried over"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"subtype": "dns"}, "a step of the type dns"),
        ({"exitIfSucceed": True}, "does not end early"),
        ({"request": {"url": "https://shop.example/{{ GONE }}"}}, "variable GONE"),
    ],
)
def test_a_step_without_an_equivalent_prevents_the_job(change: dict[str, Any], why: str) -> None:
    step = {"name": "one", "subtype": "http", "request": {"url": "https://shop.example/"}, "assertions": [], **change}
    report = _import("multi", None, steps=[step])
    assert report.definitions == {}
    assert any(why in text for text in details(report).values())


def test_a_dollar_sign_of_a_step_stands_for_itself() -> None:
    order = import_text("datadog", TEXT).definitions["order"]
    assert order["check"]["steps"][1]["expect"][1] == {"body_contains": "$$5", "severity": "degraded"}


@pytest.mark.parametrize(
    ("extraction", "source"),
    [
        ({"type": "http_header", "field": "etag", "parser": {"type": "raw"}}, {"header": "etag"}),
        (
            {"type": "http_header", "field": "etag", "parser": {"type": "regex", "value": "a(.)"}},
            {"header": "etag", "regex": "a(.)"},
        ),
        ({"type": "http_body", "parser": {"type": "json_path", "value": "a.b"}}, {"json": "$.a.b"}),
        ({"type": "http_body", "parser": {"type": "raw"}}, {"regex": "(?s)(.*)"}),
    ],
)
def test_extracted_values(extraction: dict[str, Any], source: dict[str, Any]) -> None:
    step = {
        "name": "one",
        "subtype": "http",
        "request": {"url": "https://shop.example/"},
        "assertions": [],
        "extractedValues": [{"name": "V", **extraction}],
    }
    assert _job("multi", None, steps=[step])["check"]["steps"][0]["save"] == {"V": source}
