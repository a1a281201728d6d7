"""The message of each kind of mistake in a job definition, as a text to review."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from syrupy.assertion import SnapshotAssertion

from jobs.definition import JobDefinition
from jobs.problems import validation_problems

URL = "https://checkout.internal/health"

CHECKS: dict[str, Any] = {
    "no check": {},
    "a text": "checkout.internal:5432",
    "a URL": URL,
    "an unknown kind": {"kind": "htp", "url": URL},
    "no kind": {"host": "db.internal", "port": 5432},
    "an unknown key": {"url": URL, "metod": "GET"},
    "a key of the job": {"url": URL, "retry": {"attempts": 2}},
    "a key of another program": {"url": URL, "verify_ssl": False},
    "no scheme": {"url": "checkout.internal/health"},
    "another scheme": {"url": "ftp://user:secret@checkout.internal/?key=secret"},
    "credentials in the URL": {"url": "https://user:secret@checkout.internal/"},
    "a placeholder in the host": {"url": "https://${HOST}/health"},
    "an unknown method": {"url": URL, "method": "FETCH"},
    "a header of the connection": {"url": URL, "headers": {"Content-Length": "1"}},
    "a header of the platform": {"url": URL, "headers": {"Metadata": "true"}},
    "a header with a line break": {"url": URL, "headers": {"X-Note": "a\nb"}},
    "an invalid header name": {"url": URL, "headers": {"a b": "c"}},
    "an invalid Host": {"url": URL, "headers": {"Host": "a/b"}},
    "a literal secret": {"url": URL, "auth": {"kind": "bearer", "token": "hunter22"}},
    "an invalid secret name": {"url": URL, "auth": {"kind": "bearer", "token": {"secret": "a b"}}},
    "an unknown auth": {"url": URL, "auth": {"kind": "bearr"}},
    "a body as text": {"url": URL, "body": "ping"},
    "an empty body": {"url": URL, "body": {}},
    "too many redirects": {"url": URL, "redirects": 31},
    "an invalid size": {"url": URL, "read_limit": "much"},
    "too large a size": {"url": URL, "keep_body": "1MiB"},
    "an impossible combination": {"url": URL, "connection": "kept", "http2": True},
    "an invalid proxy": {"url": URL, "proxy": "https://proxy.internal:3128/path"},
    "a host with a port": {"kind": "tcp", "host": "db.internal:5432", "port": 5432},
    "a port out of range": {"kind": "tcp", "host": "db.internal", "port": 70000},
    "two handshakes": {
        "kind": "tcp",
        "host": "db.internal",
        "port": 1,
        "dialogue": [{"starttls": True}, {"starttls": True}],
    },
    "an invalid DNS name": {"kind": "dns", "name": "https://checkout.internal"},
    "an invalid name server": {"kind": "dns", "name": "checkout.internal", "server": "dns.internal"},
    "an unknown record type": {"kind": "dns", "name": "checkout.internal", "type": "MXX"},
    "a heartbeat without a time": {"kind": "heartbeat", "token": {"secret": "ping"}},
    "a heartbeat with two times": {
        "kind": "heartbeat",
        "token": {"secret": "ping"},
        "period": "1h",
        "schedule": "@daily",
    },
    "a relative first step": {"kind": "steps", "steps": [{"name": "a", "url": "/orders"}]},
    "two steps of one name": {"kind": "steps", "steps": [{"name": "a", "url": URL}, {"name": "a", "url": "/b"}]},
    "an unknown placeholder": {"kind": "steps", "steps": [{"name": "a", "url": URL + "/${id}"}]},
}

EXPECTATIONS: dict[str, Any] = {
    "a condition": "[STATUS] == 200",
    "an unknown entry": {"statsu": 200},
    "no known key": {"zzz": 1},
    "an invalid status": {"status": "20x"},
    "a reversed range": {"status": "299-200"},
    "a status out of range": {"status": 600},
    "no comparison": {"json": "$.a"},
    "two comparisons": {"json": "$.a", "equals": 1, "exists": True},
    "an invalid I-Regexp": {"json": "$[?match(@.a, '\\\\d')]", "exists": True},
    "an invalid pattern": {"body_matches": "("},
    "too large a pattern": {"body_matches": "(?:a{3000}){3000}"},
    "an invalid expression": {"cel": "status =="},
    "an unknown variable": {"cel": "stats == 200"},
    "an expression of another type": {"cel": "status + 1"},
    "an invalid duration": {"response_time_below": "fast"},
    "a bare number": {"response_time_below": 800},
    "an invalid number": {"json": "$.a", "below": "many"},
    "no bound": {"redirects": {}},
    "an invalid version": {"tls_version": "new"},
    "an entry of another kind": {"rcode": "NOERROR"},
    "an invalid severity": {"status": 200, "severity": "warn"},
}

KEYS: dict[str, Any] = {
    "an unknown key": {"shedule": "@daily"},
    "an unrelated key": {"zzz": 1},
    "a key of the check": {"method": "GET"},
    "a key of another program": {"interval": 60},
    "retry as a number": {"retry": 3},
    "too many attempts": {"retry": {"attempts": 30}},
    "a deadline in another unit": {"timeout": {"run": "1h"}},
    "a negative duration": {"timeout": {"run": "-1s"}},
    "tags as a list": {"tags": ["team:payments"]},
    "a control character": {"description": "a\x1b[2Jb"},
    "not true or false": {"enabled": "maybe"},
    "a list as a mapping": {"circuit": [1]},
    "too many expectations": {"expect": [{"status": 200}] * 51},
}


def messages() -> str:
    groups = {
        "check": {name: {"check": check} for name, check in CHECKS.items()},
        "expect": {name: {"check": {"url": URL}, "expect": [entry]} for name, entry in EXPECTATIONS.items()},
        "job": {name: {"check": {"url": URL}, **keys} for name, keys in KEYS.items()},
    }
    lines = [
        f"{group}, {name}: {problem}"
        for group, definitions in groups.items()
        for name, definition in definitions.items()
        for problem in problems({"name": "checkout", **definition})
    ]
    return "\n".join([*lines, ""])


def problems(definition: dict[str, Any]) -> list[str]:
    try:
        JobDefinition.model_validate(definition, context={"as_written": True})
    except ValidationError as error:
        return [str(problem) for problem in validation_problems(error, JobDefinition)]
    raise AssertionError(f"no problem in {definition}")


def test_the_validation_messages(text_snapshot: SnapshotAssertion) -> None:
    assert messages() == text_snapshot
