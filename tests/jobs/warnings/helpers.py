"""Definitions, and the texts of what is warned of or refused in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jobs.definition import JobDefinition
from jobs.problems import Finding
from jobs.warnings import find_refusals, find_warnings

NOW_MS = int(datetime(2026, 11, 27, 8, 0, tzinfo=UTC).timestamp() * 1000)


def job(**keys: Any) -> JobDefinition:
    return JobDefinition.model_validate({"name": "a", "check": {"url": "https://a.example/"}, **keys})


def warned(definition: JobDefinition | None = None, *, now_ms: int = NOW_MS, **keys: Any) -> list[str]:
    return _texts(find_warnings(definition or job(**keys), now_ms))


def refused(**keys: Any) -> list[str]:
    return _texts(find_refusals(job(**keys)))


def _texts(findings: tuple[Finding, ...]) -> list[str]:
    return [str(finding.to_problem()) for finding in findings]
