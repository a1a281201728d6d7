"""A misspelt key of a job file is one error of the schema, at the key: editors mark what is wrong and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.definition import JobDefinition
from jobs.definition.alerting_registry import PARTS_BY_KEY
from jobs.schemas import create_file_schema, format_schema
from jobs.targets import TARGETS_BY_KIND
from tests.parts.job_file_verdicts import file_schema, list_problems

URL = "https://checkout.example.com/health"
HTTP = {"url": URL, "method": "GET"}
SECRET = {"secret": "checkout-token"}
GUID = "00000000-0000-4000-8000-000000000001"
CHECKS: dict[str, dict[str, Any]] = {
    "http": {
        "kind": "http",
        **HTTP,
        "auth": {"kind": "oauth2", "token_url": URL, "client_id": "a", "client_secret": SECRET},
        "body": {"text": "a", "content_type": "text/plain"},
        "tls": {"verify": True},
        "proxy": "http://proxy.internal:3128",
        "proxy_auth": {"username": "a", "password": SECRET},
    },
    "steps": {"kind": "steps", "steps": [{"name": "a", "url": URL, "save": {"id": {"json": "$.id", "secret": False}}}]},
    "tcp": {"kind": "tcp", "host": "a", "port": 25, "dialogue": [{"receive": "220"}, {"send": "QUIT"}]},
    "dns": {"kind": "dns", "name": "a", "type": "MX"},
    "tls": {"kind": "tls", "host": "a"},
    "heartbeat": {"kind": "heartbeat", "token": SECRET, "period": "1d"},
    "postgres": {"kind": "postgres", "host": "a", "user": "a", "password": SECRET, "statement": "SELECT 1"},
    "mysql": {"kind": "mysql", "host": "a", "user": "a", "role": "replica"},
    "sqlserver": {"kind": "sqlserver", "host": "a", "user": "a", "entra": True},
    "redis": {"kind": "redis", "host": "a", "password": SECRET, "command": ["LLEN", "a"]},
    "azure_resource": {"kind": "azure_resource", "resource": f"/subscriptions/{GUID}", "api_version": "2024-08-01"},
    "azure_query": {"kind": "azure_query", "workspace": GUID, "query": "Usage"},
    "azure_metric": {
        "kind": "azure_metric",
        "resource": f"/subscriptions/{GUID}/resourceGroups/a",
        "metric": "Requests",
    },
    "azure_queue": {"kind": "azure_queue", "account": "shopqueues", "queue": "orders"},
}
JOB: dict[str, Any] = {
    "description": "Can customers pay?",
    "schedule": {"cron": "0 0 * * * *", "dst": {"gap": "skip"}, "except": [{"weekly": {"days": "MON"}}]},
    "check": HTTP,
    "expect": [
        {"status": 200, "severity": "degraded"},
        {"json": "$.a", "equals": 1, "missing": "ok"},
        {"body": {"matches": "a"}},
        {"json": "$.b", "length": {"at_least": 1}},
        {"health": "spring", "ignore": ["disk"]},
    ],
    "depends_on": [{"job": "b", "within": "1h"}],
    "timeout": {"attempt": "1s", "run": "5s"},
    "retry": {"attempts": 2, "backoff": "linear"},
    "circuit": {"consecutive_failures": 3, "open_for": "1m"},
    "catch_up": {"policy": "last", "within": "1h"},
    "overlap": "skip",
    "concurrency_group": {"name": "g", "limit": 2},
    "effect": "once",
    "telemetry": {"events": "all"},
    "alerts": [
        {
            "when": {"success_rate_below": "95%", "window": "1h"},
            "escalate": [{"after": "5m", "notify": "chat"}],
            "flapping": {"changes": 3, "within": "1h"},
        }
    ],
    "alert_parent": "b",
    "slo": {"target": 99.9, "window": "30d", "alerts": {"page": {"notify": "chat"}}},
}
ALERTING: dict[str, Any] = {
    "severities": {"major": {"rank": 15}},
    "rules": [{"select": {"kinds": "http"}, "alerts": [{"when": "failed"}]}],
    "groups": {"shop": {"jobs": {"jobs": "shop-*"}, "down_when": {"share": "50%"}}},
    "channels": {
        "chat": {"kind": "ntfy", "topic": "a", "token": SECRET},
        "mail": {"kind": "email", "host": "a", "from": "a@example.com", "to": ["b@example.com"]},
    },
    "routes": [{"match": {"severities": "down"}, "time": {"mute": [{"calendar": [{"holidays": "DE"}]}]}, "notify": []}],
    "on_call": {"primary": {"file": "rota.ics", "people": {"Anna": "chat"}, "otherwise": "chat"}},
    "windows": [{"name": "w", "select": {"all": True}, "weekly": {"from": "22:00", "to": "23:00"}, "effect": "pause"}],
    "templates": {"default": {"title": "a"}},
}
SECTIONS: dict[str, Any] = {
    "defaults": {"timeout": {"run": "5s"}, "check": {"method": "GET"}},
    "groups": {"g": {"jobs": "a*"}},
    "alerting": ALERTING,
    "objectives": {"shop": {"target": 99, "select": {"all": True}}},
}
FLAT = {"JobName": "a", "Endpoint": URL, "MaxRetries": 2, "Tags": {"team": "a"}}
DOCUMENTS: dict[str, Any] = {
    **{f"check {kind}": {"jobs": {"a": {"check": check}}} for kind, check in CHECKS.items()},
    "job": {"jobs": {"a": JOB}},
    "monthly": {"jobs": {"a": {"check": HTTP, "schedule": {"monthly": {"day": "last", "at": "02:00"}}}}},
    "sections": {"jobs": {"a": {"check": HTTP}}, **SECTIONS},
    "list": {"jobs": [{"name": "a", "check": CHECKS["tcp"]}]},
    "jobs at the top": {"a": {"check": HTTP}, "b": {"check": CHECKS["dns"]}},
    "one job": {"name": "a", "check": HTTP, "overlap": "skip"},
    "flat job": FLAT,
    "flat job in lower case": {"a": {"endpoint": URL, "timeout_seconds": 3}},
    "flat jobs in a list": {"jobs": [FLAT]},
    "flat jobs by name": {"jobs": {"a": FLAT}},
}
NAMES = {"a", "b", "g", "shop", "major", "chat", "mail", "primary", "default", "Anna", "id", "team"}
"""Keys of these documents that users choose."""


def list_keys(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths of all keys that are not names."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in entries:
        if isinstance(value, dict) and key not in NAMES:
            yield (*path, key)
        yield from list_keys(below, (*path, key))


def misspell(document: Any, path: tuple[str | int, ...], key: str) -> Any:
    """Return a copy with another key at the path."""
    changed = json.loads(json.dumps(document))
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    entries = [(key if name == path[-1] else name, value) for name, value in holder.items()]
    holder.clear()
    holder.update(entries)
    return changed


CASES = [
    pytest.param(document, path, id=f"{name}: {'.'.join(map(str, path))}")
    for name, document in DOCUMENTS.items()
    for path in list_keys(document)
]


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_each_document_is_valid_before_a_key_is_misspelt(document: Any) -> None:
    assert [str(error) for error in file_schema().iter_errors(document)] == []
    assert list_problems(document) == ()


def test_the_documents_have_each_kind_of_check_each_key_of_jobs_and_each_section() -> None:
    assert CHECKS.keys() == TARGETS_BY_KIND.keys()
    assert JobDefinition.model_fields.keys() - {"name", "enabled", "dead_letter", "tags", "preset"} <= JOB.keys()
    assert ALERTING.keys() == PARTS_BY_KEY.keys()


@pytest.mark.parametrize(("document", "path"), CASES)
def test_a_misspelt_key_is_one_error_that_names_it(document: Any, path: tuple[str | int, ...]) -> None:
    misspelt = f"{path[-1]}q"
    changed = misspell(document, path, misspelt)

    errors = [(list(error.instance_path), error.message) for error in file_schema().iter_errors(changed)]
    assert len(errors) == 1, errors
    place, message = errors[0]
    assert misspelt in [*place, *re.findall(r"\w+", message)], errors
    assert tuple(place[: len(path) - 1]) == path[:-1], errors
    assert list_problems(changed)


@pytest.mark.parametrize(
    "document", [misspell(FLAT, ("Endpoint",), "Endpont"), {"jobs": {"a": {"chek": HTTP}}}], ids=str
)
def test_the_validator_of_a_pipeline_names_a_misspelt_key_in_one_short_line(document: Any, tmp_path: Path) -> None:
    schema, file = tmp_path / "jobs.schema.json", tmp_path / "jobs.json"
    schema.write_text(format_schema(create_file_schema()), encoding="utf-8")
    file.write_text(json.dumps(document), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--output-format",
        "json",
        "--schemafile",
        str(schema),
        str(file),
    ]
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)

    (error,) = result["errors"]
    assert re.search("Endpont|chek", error["message"])
    assert len(error["message"]) < 200
