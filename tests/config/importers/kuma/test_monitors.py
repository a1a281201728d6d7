"""What single columns of monitors become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.config.importers.importing import details, outcomes, read_jobs
from tests.config.importers.kuma.database import (
    build_database,
    import_database,
    import_job,
    import_monitor,
    import_monitors,
    monitor,
)

URL = "https://shop.example/"


def test_an_interval_of_a_day_and_a_timeout_longer_than_a_run(tmp_path: Path) -> None:
    job = import_job(tmp_path, monitor("http", url=URL, interval=86400, timeout=900))
    assert job["schedule"] == {"every": "1d"}
    assert job["timeout"] == {"attempt": "8m", "run": "8m"}


def test_retries_at_the_interval_are_runs_that_must_fail(tmp_path: Path) -> None:
    job = import_job(tmp_path, monitor("http", url=URL, maxretries=2))
    assert job["alerts"][0]["open_after"] == 3
    assert job["retry"] == {"attempts": 1}


def test_faster_retries_are_attempts_of_a_run(tmp_path: Path) -> None:
    job = import_job(tmp_path, monitor("http", url=URL, maxretries=2, retry_interval=20, timeout=10))
    assert job["retry"]["attempts"] == 3
    assert (job["retry"]["backoff"], job["retry"]["initial"]) == ("constant", "20s")
    assert job["timeout"] == {"attempt": "10s", "run": "1m10s"}
    assert job["alerts"][0]["open_after"] == 1


def test_faster_retries_that_do_not_fit_into_a_run_are_runs(tmp_path: Path) -> None:
    row = monitor("http", url=URL, maxretries=9, retry_interval=50, timeout=10)
    report = import_monitor(tmp_path, row)
    assert report.definitions["shop"]["alerts"][0]["open_after"] == 10
    assert "longer than a run can" in details(report)["monitor.1.retry_interval"]


def test_a_json_query_that_is_not_retried(tmp_path: Path) -> None:
    row = monitor("json-query", url=URL, json_path="a", expected_value="b", maxretries=1)
    job = import_job(tmp_path, {**row, "retry_only_on_status_code_failure": 1})
    assert "expectation" not in job["retry"]["on"]
    assert {"connection", "timeout", "5xx"} <= set(job["retry"]["on"])


def test_a_resend_interval_is_a_time(tmp_path: Path) -> None:
    job = import_job(tmp_path, monitor("http", url=URL, resend_interval=10, interval=30))
    assert job["alerts"][0]["remind_every"] == "5m"


def test_certificates_are_warned_of_as_by_default(tmp_path: Path) -> None:
    job = import_job(tmp_path, monitor("http", url=URL, expiry_notification=1))
    assert [rule["when"] for rule in job["alerts"][1:]] == [{"certificate_days_below": days} for days in (21, 14, 7)]


def test_without_encryption_no_certificate_is_warned_of(tmp_path: Path) -> None:
    job = import_job(tmp_path, monitor("http", url="http://shop.internal/", expiry_notification=1))
    assert len(job["alerts"]) == 1


@pytest.mark.parametrize(
    ("codes", "expect"),
    [
        ('["200-299"]', None),
        ('["200", "301-308"]', [{"status": [200, "301-308"]}]),
        ('["500-599", "nonsense"]', [{"status": ["500-599"]}]),
    ],
)
def test_accepted_statuses(tmp_path: Path, codes: str, expect: list[Any] | None) -> None:
    job = import_job(tmp_path, monitor("http", url=URL, accepted_statuscodes_json=codes))
    assert job.get("expect") == expect


def test_more_redirects_than_a_job_can_follow(tmp_path: Path) -> None:
    assert import_job(tmp_path, monitor("http", url=URL, maxredirects=50))["check"]["redirects"] == 30


def test_a_body_in_json_with_a_password_is_one_secret(tmp_path: Path) -> None:
    row = monitor("http", url=URL, method="POST", body='{"user": "probe", "password": "pa55-word"}')
    report = import_monitor(tmp_path, row)
    assert report.definitions["shop"]["check"]["body"]["text"] == {"secret": "shop-body"}
    assert "pa55-word" not in report.text


def test_a_form(tmp_path: Path) -> None:
    row = monitor("http", url=URL, method="POST", body="a=1&token=t0ken-value", http_body_encoding="form")
    body = import_job(tmp_path, row)["check"]["body"]
    assert body == {"form": {"a": "1", "token": {"secret": "shop-token"}}}


def test_xml(tmp_path: Path) -> None:
    row = monitor("http", url=URL, method="POST", body="<ping/>", http_body_encoding="xml")
    assert import_job(tmp_path, row)["check"]["body"] == {"text": "<ping/>", "content_type": "text/xml; charset=utf-8"}


def test_a_header_that_controls_the_connection_is_refused_alone(tmp_path: Path) -> None:
    row = monitor("http", url=URL, headers='{"Connection": "close", "X-Run": "1", "X-Odd": [1]}')
    report = import_monitor(tmp_path, row)
    assert report.definitions["shop"]["check"]["headers"] == {"X-Run": "1"}
    assert outcomes(report)["monitor.1.headers.Connection"] == "not carried over"
    assert outcomes(report)["monitor.1.headers.X-Odd[0]"] == "not carried over"


def test_headers_that_are_no_json(tmp_path: Path) -> None:
    report = import_monitor(tmp_path, monitor("http", url=URL, headers="X-Run: 1"))
    assert "headers" not in report.definitions["shop"]["check"]
    assert outcomes(report)["monitor.1.headers"] == "not carried over"


@pytest.mark.parametrize(
    ("method", "why"),
    [("ntlm", "no NTLM"), ("kerberos", "kerberos is not known")],
)
def test_a_monitor_whose_credentials_cannot_be_sent_is_not_imported(tmp_path: Path, method: str, why: str) -> None:
    report = import_monitor(tmp_path, monitor("http", url=URL, auth_method=method, basic_auth_user="u"))
    assert report.definitions == {}
    assert why in details(report)["monitor.1.url"]


def test_a_keyword_of_json_is_searched_in_the_body_as_sent(tmp_path: Path) -> None:
    report = import_monitor(tmp_path, monitor("keyword", url=URL, keyword='"status":"ok"'))
    assert report.definitions["shop"]["expect"] == [{"body_contains": '"status":"ok"'}]
    assert "removes blanks" in details(report)["monitor.1.keyword"]


def test_upside_down_with_a_keyword_is_its_opposite(tmp_path: Path) -> None:
    job = import_job(tmp_path, monitor("keyword", url=URL, keyword="error", upside_down=1))
    assert job["expect"] == [{"body_not_contains": "error"}]


def test_upside_down_of_a_request_is_a_status_that_is_not_accepted(tmp_path: Path) -> None:
    report = import_monitor(tmp_path, monitor("http", url=URL, upside_down=1))
    assert report.definitions["shop"]["expect"] == [{"status_not": ["200-299"]}]
    assert outcomes(report)["monitor.1.upside_down"] == "changed"


@pytest.mark.parametrize("kind", ["json-query", "push", "smtp", "redis"])
def test_upside_down_without_an_opposite_is_not_imported(tmp_path: Path, kind: str) -> None:
    row = monitor(kind, url=URL, hostname="h.internal", port=25, push_token="t" * 32, json_path="a", upside_down=1)
    report = import_monitor(tmp_path, {**row, "database_connection_string": "redis://h.internal"})
    assert report.definitions == {}


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("$", "$"),
        ("status", "$.status"),
        ("$.a.b", "$.a.b"),
        ("a[0].b[-1]", "$.a[0].b[-1]"),
        ("$[2].name", "$[2].name"),
        ("data.`content type`", "$.data['content type']"),
    ],
)
def test_a_path_of_jsonata_is_a_jsonpath(tmp_path: Path, query: str, path: str) -> None:
    job = import_job(tmp_path, monitor("json-query", url=URL, json_path=query, expected_value="ok"))
    assert job["expect"] == [{"json": path, "equals": "ok"}]


@pytest.mark.parametrize("query", ["$count(items)", "items[price > 3]", "a.*", "a ? b : c", "[1,2]", "$$.a", "a & b"])
def test_more_of_jsonata_than_a_path_is_not_imported(tmp_path: Path, query: str) -> None:
    report = import_monitor(tmp_path, monitor("json-query", url=URL, json_path=query, expected_value="ok"))
    assert report.definitions == {}
    assert "JSONata" in details(report)["monitor.1.json_path"]


@pytest.mark.parametrize(
    ("operator", "expected", "comparison"),
    [
        ("==", "true", {"like": "true"}),
        ("==", "5", {"like": "5"}),
        ("!=", "down", {"not_equals": "down"}),
        (">", "5", {"above": 5}),
        ("<=", "2.5", {"at_most": 2.5}),
        ("contains", "o*k", {"contains": "o*k"}),
    ],
)
def test_comparisons_of_a_json_query(tmp_path: Path, operator: str, expected: str, comparison: dict[str, Any]) -> None:
    row = monitor("json-query", url=URL, json_path="a", json_path_operator=operator, expected_value=expected)
    assert import_job(tmp_path, row)["expect"] == [{"json": "$.a", **comparison}]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("postgres://u:p@db.internal/shop", ("db.internal", 5432)),
        ("postgresql://u:p%40ss@db.internal:6000/shop?sslmode=require", ("db.internal", 6000)),
        ("postgres://[2001:db8::1]:5433/shop", ("2001:db8::1", 5433)),
        ("Server=tcp:sql.example,1444;Password=x", ("sql.example", 1444)),
        ("Data Source=sql.example\\INSTANCE;Password=x", ("sql.example", 5432)),
    ],
)
def test_addresses_of_connection_strings(tmp_path: Path, text: str, address: tuple[str, int]) -> None:
    check = import_job(tmp_path, monitor("postgres", database_connection_string=text))["check"]
    assert (check["host"], check["port"]) == address


@pytest.mark.parametrize(
    "text", ["postgres://u:pa/ss123@db.internal/shop", "mongodb+srv://u:p@cluster.example/shop", "Password=x", ""]
)
def test_a_connection_string_without_a_clear_address_is_not_imported(tmp_path: Path, text: str) -> None:
    kind = "mongodb" if text.startswith("mongodb") else "postgres"
    report = import_monitor(tmp_path, monitor(kind, database_connection_string=text))
    assert report.definitions == {}


def test_a_query_of_a_database_is_reported_as_lost(tmp_path: Path) -> None:
    row = monitor("mysql", database_connection_string="mysql://db.internal/shop", database_query="SELECT 1")
    assert outcomes(import_monitor(tmp_path, row))["monitor.1.database_query"] == "not carried over"


def test_a_push_monitor_keeps_its_token_and_its_patience(tmp_path: Path) -> None:
    job = import_job(tmp_path, monitor("push", push_token="t" * 32, interval=30, maxretries=2, retry_interval=30))
    assert job["check"]["period"] == "30s"
    assert job["check"]["grace"] == "1m"
    assert job["check"]["first_within"] == "1m30s"
    assert job["schedule"] == {"every": "30s"}


def test_a_monitor_below_an_inactive_group_is_disabled(tmp_path: Path) -> None:
    rows = [
        monitor("group", id=7, name="all", active=0),
        monitor("group", id=8, name="web", parent=7),
        monitor("http", id=9, url=URL, parent=8),
    ]
    assert import_monitors(tmp_path, rows).definitions["shop"]["enabled"] is False


def test_groups_that_are_their_own_parents_end(tmp_path: Path) -> None:
    rows = [monitor("group", id=1, name="a", parent=2), monitor("group", id=2, name="b", parent=1)]
    assert import_monitors(tmp_path, rows).definitions == {}


def test_a_group_has_the_name_of_no_job(tmp_path: Path) -> None:
    report = import_monitors(tmp_path, [monitor("group", id=1), monitor("http", id=2, url=URL, parent=1)])
    assert "shop-2:" in report.text
    read_jobs(report)


def test_tags_of_one_name_are_joined(tmp_path: Path) -> None:
    links = [{"monitor_id": 1, "tag_id": 1, "value": "a"}, {"monitor_id": 1, "tag_id": 1, "value": "b"}]
    report = import_monitor(
        tmp_path, monitor("http", url=URL), tag=[{"id": 1, "name": "team", "color": "red"}], monitor_tag=links
    )
    assert report.definitions["shop"]["tags"] == {"team": "a,b"}


def test_a_websocket_is_a_dialogue(tmp_path: Path) -> None:
    row = monitor("websocket-upgrade", url="ws://live.internal:8080", headers='{"Origin": "https://shop.example"}')
    check = import_job(tmp_path, row)["check"]
    assert (check["host"], check["port"], "tls" in check) == ("live.internal", 8080, False)
    assert check["dialogue"][0]["send"].startswith("GET / HTTP/1.1\r\nHost: live.internal:8080\r\n")
    assert "Origin: https://shop.example\r\n\r\n" in check["dialogue"][0]["send"]


def test_conditions_of_dns_are_evaluated_from_left_to_right(tmp_path: Path) -> None:
    conditions = (
        '[{"type":"expression","variable":"record","operator":"equals","value":"a","andOr":"and"},'
        '{"type":"expression","variable":"record","operator":"not_contains","value":"\\"b","andOr":"or"},'
        '{"type":"expression","variable":"record","operator":"ends_with","value":"c","andOr":"and"}]'
    )
    job = import_job(tmp_path, monitor("dns", hostname="shop.example", conditions=conditions))
    assert job["expect"][-1] == {
        "cel": 'facts.answers.exists(a, ((a == "a" || !a.contains("\\"b")) && a.endsWith("c")))'
    }


def test_nodes_of_a_cluster_are_down_together(tmp_path: Path) -> None:
    row = monitor("rabbitmq", rabbitmq_nodes='["http://a.internal:15672/", "http://b.internal:15672"]', maxretries=1)
    report = import_monitor(tmp_path, row)
    assert [job["alerts"] for job in report.definitions.values()] == [[], []]
    assert "down_when: all" in report.text


def test_a_channel_of_a_service_without_one_of_its_own_is_apprise(tmp_path: Path) -> None:
    config = '{"type": "telegram", "telegramBotToken": "b0t-token-value", "telegramChatID": "1"}'
    notification = {"id": 5, "name": "Phone", "user_id": 1, "config": config}
    link = {"monitor_id": 1, "notification_id": 5}
    report = import_monitor(
        tmp_path, monitor("http", url=URL), notification=[notification], monitor_notification=[link]
    )
    assert report.definitions["shop"]["alerts"][0]["notify"] == ["phone"]
    assert [secret.purpose for secret in report.secrets] == ["Apprise URL for telegram of the channel Phone"]
    assert "b0t-token-value" not in f"{report.text}{report.to_json()}"


def test_a_webhook_whose_url_is_not_valid_is_no_channel(tmp_path: Path) -> None:
    config = '{"type": "webhook", "webhookURL": "https://[bad"}'
    notification = {"id": 5, "name": "Hook", "user_id": 1, "config": config}
    report = import_monitor(tmp_path, monitor("http", url=URL), notification=[notification])
    assert any("the URL is not valid" in entry.detail for entry in report.entries)


def test_a_job_of_a_group_that_notifies_is_not_named_as_silent(tmp_path: Path) -> None:
    config = '{"type": "slack", "slackwebhookURL": "https://a.example/x"}'
    channel = {"id": 1, "user_id": 1, "name": "ops", "active": 1, "config": config}
    rows = [
        {**monitor("group"), "id": 1, "name": "shop"},
        {**monitor("http", url="https://a.example/"), "id": 2, "name": "inside", "parent": 1},
        {**monitor("http", url="https://b.example/"), "id": 3, "name": "outside"},
    ]
    link = {"monitor_id": 1, "notification_id": 1}
    tables = {"monitor": rows, "notification": [channel], "monitor_notification": [link]}
    report = import_database(build_database(tmp_path / "kuma.db", tables))
    assert report.jobs_without_rule == []
    assert report.jobs_without_notification == ["outside"]
