"""Jobs that write the same share the parts."""

from __future__ import annotations

from typing import Any

from config.job_files.entries import PartInterner
from jobs.definition import JobDefinition


def defined(shared: PartInterner, name: str, **keys: Any) -> JobDefinition:
    written = {"name": name, "check": {"url": "https://a.example/"}, **keys}
    definition = JobDefinition.model_validate(shared.reuse(written))
    shared.remember(written, definition)
    return definition


FULL: dict[str, Any] = {
    "schedule": "*/5 * * * * *",
    "check": {
        "url": "https://a.example/",
        "auth": {"kind": "bearer", "token": {"secret": "t"}},
        "tls": {"verify": False},
    },
    "expect": [{"status": 200}, {"body_contains": "ok"}],
    "timeout": {"attempt": "1s"},
    "retry": {"attempts": 2},
    "circuit": {"consecutive_failures": 3},
}


def test_equal_parts_are_one_object() -> None:
    shared = PartInterner()
    one, other = defined(shared, "a", **FULL), defined(shared, "b", **FULL)
    for part in ("schedule", "timeout", "retry", "circuit"):
        assert getattr(one, part) is getattr(other, part)
    assert one.check.auth is other.check.auth
    assert one.check.tls is other.check.tls
    assert all(a is b for a, b in zip(one.expect, other.expect, strict=True))


def test_sharing_changes_no_definition() -> None:
    shared = PartInterner()
    defined(shared, "a", **FULL)
    assert defined(shared, "b", **FULL) == defined(PartInterner(), "b", **FULL)


def test_what_reads_alike_but_differs_is_not_shared() -> None:
    shared = PartInterner()
    assert defined(shared, "a", retry={"on": [503]}).retry is not defined(shared, "b", retry={"on": ["5xx"]}).retry
