"""The JSON schemas accept what loads, and refuse typical mistakes."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from config.documents.yaml_text import parse_yaml
from jobs.definition import JobDefinition
from jobs.schemas import create_file_schema, create_job_schema
from tests.docs.test_jobs_page import ROOT, examples

FILE = jsonschema_rs.validator_for(create_file_schema())
JOB = jsonschema_rs.validator_for(create_job_schema())
SAMPLES = sorted((ROOT / "config" / "jobs" / "samples").iterdir())
CHECK = {"url": "https://checkout.example.com/health"}


@pytest.mark.parametrize("text", [text for _, text in examples()] + [path.read_text() for path in SAMPLES])
def test_each_example_and_each_sample_is_valid(text: str) -> None:
    assert [str(error) for error in FILE.iter_errors(parse_yaml(text).value)] == []


@pytest.mark.parametrize(
    "document",
    [
        {"jobs": {"a": {"chek": CHECK}}},
        {"jobs": {"a": {"check": {**CHECK, "methd": "GET"}}}},
        {"jobs": {"a": {"check": CHECK, "retries": 3}}},
        {"jobs": {"a": {"check": CHECK, "retry": {"attempts": 30}}}},
        {"jobs": {"a": {"check": CHECK, "timeout": {"run": 30}}}},
        {"jobs": {"a": {"check": CHECK, "overlap": "queue"}}},
        {"jobs": {"a": {"check": CHECK, "expect": [{"stats": 200}]}}},
        {"jobs": {"a": {"check": {"kind": "ftp", "host": "a"}}}},
        {"jobs": {"a": {"check": {"kind": "tcp", "host": "a", "port": 70000}}}},
        {"jobs": [{"check": CHECK}]},
        {"jobs": {"a": {"Endpoint": "https://a", "Retrys": 3}}},
        {"jobs": {}, "default": {}},
        {"jobs": {}, "defaults": {"retries": 3}},
        {"monitors": {"a": 1}},
        {"jobs": {"a": {"check": CHECK, "alerts": [{"open_afer": 3}]}}},
        {"jobs": {"a": {"check": CHECK, "alerts": [{"when": "failde"}]}}},
        {"jobs": {}, "alerting": {"ruls": []}},
        {"jobs": {}, "alerting": {"rules": [{"select": {"tag": {}}, "alerts": []}]}},
        {"jobs": {}, "alerting": {"groups": {"g": {"down_when": "any"}}}},
        "jobs",
    ],
)
def test_a_typical_mistake_is_refused(document: Any) -> None:
    assert not FILE.is_valid(document)


@pytest.mark.parametrize(
    "job",
    [
        {"Endpoint": "https://a", "expected_status": [200, 204], "timeoutseconds": 3, "Enabled": "yes"},
        {"name": "a", "check": CHECK, "concurrency_group": "shop", "depends_on": ["b"]},
        {"name": "a", "check": CHECK, "alerts": [{"open_after": "3 of 5", "flapping": False}], "alert_parent": "b"},
        {"name": "a", "check": CHECK, "alerts": [{"when": {"silent": True}, "notify": "x"}], "alert_parent": ["b"]},
        {"name": "a", "check": CHECK, "schedule": [{"every": "5m"}, "0 0 4 * * *"], "expect": [{"status": "2xx"}]},
    ],
)
def test_short_forms_and_other_spellings_are_valid(job: Any) -> None:
    assert [str(error) for error in JOB.iter_errors(job)] == []


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
