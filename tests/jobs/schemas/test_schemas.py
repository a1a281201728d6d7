"""The JSON schemas accept what loads, refuse typical mistakes, and are small."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from config.documents.yaml_text import parse_yaml
from jobs.definition import JobDefinition
from jobs.schemas import create_file_schema, create_job_schema, format_schema
from tests.docs.test_jobs_page import examples
from tests.parts.job_file_verdicts import file_schema, find_contradiction, list_problems

FILE = file_schema()
JOB = jsonschema_rs.validator_for(create_job_schema())
URL = "https://checkout.example.com/health"
CHECK = {"url": URL}
DNS = {"kind": "dns", "name": "checkout.example.com"}


def file_with(**job: Any) -> dict[str, Any]:
    return {"jobs": {"a": {"check": CHECK, **job}}}


@pytest.mark.parametrize(
    "document",
    [
        {"jobs": {"a": {"chek": CHECK}}},
        {"jobs": {"a": {"check": {**CHECK, "methd": "GET"}}}},
        file_with(retries=3),
        file_with(retry={"attempts": 30}),
        file_with(retry={"attempts": "many"}),
        file_with(timeout={"run": 30}),
        file_with(timeout={"run": "30 seconds"}),
        file_with(overlap="queue"),
        file_with(enabled="maybe"),
        file_with(expect=[{"stats": 200}]),
        file_with(expect=[{"severity": "degraded"}]),
        file_with(schedule={"every": "5 minutes"}),
        file_with(schedule=[]),
        {"jobs": {"a": {"check": {"kind": "ftp", "host": "a"}}}},
        {"jobs": {"a": {"check": {"kind": "tcp", "host": "a", "port": 70000}}}},
        {"jobs": {"a": {"check": {"host": "a", "port": 70}}}},
        {"jobs": [{"check": CHECK}]},
        {"jobs": [{"Endpoint": URL}]},
        {"jobs": {"a": {"Endpoint": URL, "Retrys": 3}}},
        {"jobs": {"a": {"JobName": "a"}}},
        {"jobs": {"a": {"Endpoint": URL, "timeout_seconds": "10s"}}},
        {"jobs": {"a": {"Endpoint": URL, "AuthType": "digest"}}},
        {"jobs": {}, "default": {}},
        {"jobs": {}, "defaults": {"retries": 3}},
        {"jobs": {}, "defaults": {"check": {"ulr": URL}}},
        {"monitors": {"a": 1}},
        {"check": CHECK, "overlap": "skip"},
        file_with(alerts=[{"open_afer": 3}]),
        file_with(alerts=[{"when": "failde"}]),
        {"jobs": {}, "alerting": {"ruls": []}},
        {"jobs": {}, "alerting": {"rules": [{"select": {"tag": {}}, "alerts": []}]}},
        {"jobs": {}, "alerting": {"groups": {"g": {"down_when": "any"}}}},
        "jobs",
    ],
    ids=str,
)
def test_a_typical_mistake_is_refused(document: Any) -> None:
    assert not FILE.is_valid(document)
    assert list_problems(document)


@pytest.mark.parametrize(
    "document",
    [
        {"jobs": {"a": {"check": DNS, "expect": [{"rcode": "NXDOMAIN"}, {"answers": {"length": 3}}]}}},
        {"jobs": {"a": {"check": DNS, "expect": [{"rcode": "noerror, nxdomain"}]}}},
        file_with(expect=[{"error": "connection_refused"}]),
        file_with(expect=[{"http_version": 2}, {"tls_version": ["TLSv1.2", 1.3]}, {"redirects": 0}]),
        file_with(expect=[{"json": "$.a", "above": "0x1f"}, {"max_body": "1MiB"}, {"min_body": 10}]),
        file_with(retry={"on": [503, "5xx"], "attempts": "3"}),
        file_with(enabled="yes", timeout={"run": " 1M30S "}),
        file_with(circuit={"failure_rate": "0.5", "window": 20}),
        file_with(schedule=["0 0 4 * * *", {"every": "%INTERVAL%"}, {"monthly": {"day": [1, "last"], "months": 3}}]),
        file_with(
            schedule={"cron": "0 0 4 * * *", "except": [{"weekly": {"days": ["SAT", "SUN"]}}], "dst": {"gap": None}}
        ),
        file_with(depends_on=["b", {"job": "c", "within": "1h"}], concurrency_group="shop", alert_parent="b"),
        file_with(alerts=[{"when": {"silent": True}, "notify": "x", "flapping": False}, {"open_after": "3 of 5"}]),
        file_with(slo={"target": "99.9%", "alerts": True}),
        {"jobs": {"a": {"check": {"kind": "heartbeat", "token": {"secret": "a"}, "schedule": [{"every": "1h"}]}}}},
        {"defaults": {"check": {"kind": "tcp", "port": 443}}, "jobs": {"a": {"check": {"host": "a"}}}},
        {"defaults": {"check": {**CHECK}}, "jobs": [{"name": "a"}]},
        {"Jobs": {"a": {"check": CHECK}}, "$schema": "jobs.schema.json"},
        {"jobs": None},
        {"name": "a", "check": CHECK},
        [{"name": "a", "check": CHECK}, {"job_name": "b", "URL": URL}],
        {"name": {"check": CHECK}, "check": {"check": CHECK}, "groups": None},
        {
            "endpoint": URL,
            "timeout-seconds": "10",
            "IsEnabled": "Off",
            "Password": "",
            "Body": {"query": "a", "url": "b"},
        },
        {"a": {"Endpoint": URL, "Expected_Status": [200, 204], "tags": ["team:shop"], "auth type": "api-key"}},
    ],
    ids=str,
)
def test_a_short_form_or_another_spelling_is_valid(document: Any) -> None:
    assert [str(error) for error in FILE.iter_errors(document)] == []
    unresolved = [each for each in list_problems(document) if "INTERVAL" not in str(each)]
    assert unresolved == []


def test_a_job_is_valid_alone_with_its_name() -> None:
    assert JOB.is_valid({"name": "a", "check": CHECK})
    assert JOB.is_valid({"JobName": "a", "Endpoint": URL})
    assert not JOB.is_valid({"check": CHECK})


def test_a_normalized_definition_is_valid() -> None:
    for text in [text for _, text in examples()]:
        document = parse_yaml(text).value
        for name, job in (document.get("jobs") or {}).items() if isinstance(document, dict) else ():
            if "check" in job and "url" in job["check"] and "defaults" not in document:
                dumped = JobDefinition.model_validate({"name": name, **job}).model_dump(mode="json", by_alias=True)
                assert [str(error) for error in JOB.iter_errors(dumped)] == []


def test_defaults_are_written_as_in_a_file() -> None:
    retry = create_file_schema()["$defs"]["RetryPolicy"]["properties"]
    assert (retry["initial"]["default"], retry["attempts"]["minimum"]) == ("500ms", 1)


def test_the_first_key_of_the_order_selects_as_in_the_model() -> None:
    saved = {"header": "location", "regex": "/([0-9]+)$"}
    step = {"name": "a", "url": URL, "save": {"id": saved}}
    document = {"jobs": {"a": {"check": {"kind": "steps", "steps": [step]}}}}
    assert find_contradiction(document, list_problems(document)) == ""
    assert FILE.is_valid(document)


def test_the_schema_of_a_file_has_less_than_200_kilobytes() -> None:
    assert len(format_schema(create_file_schema()).encode()) < 200_000


def test_schemas_are_equal_each_time_that_they_are_made() -> None:
    assert format_schema(create_file_schema()) == format_schema(create_file_schema())
