"""Reads `application/health+json` (draft-inadarei-api-health-check). Called through formats.py.

`checks` is an object; each key, `component:measurement`, has a list with an object for each node that was measured. An
object without a status is a measurement only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.expectations.health.document import (
    HealthDocument,
    make_document,
    make_entry,
    parse_duration_ms,
    read_text,
    read_word,
)
from jobs.runs.details import ReportedEntry

WORDS = ("pass", "warn", "fail", "ok", "error")
"""Statuses by which formats.py recognizes this format."""
_MAX_OBSERVED = 60


def read_health_json(value: Any) -> HealthDocument | None:
    """Return the document; None if the value has another shape."""
    if not isinstance(value, Mapping) or not read_word(value.get("status")):
        return None
    checks = value.get("checks", value.get("details"))  # `details`: drafts before 03
    entries = _entries(checks) if isinstance(checks, Mapping) else ()
    return make_document(value["status"], entries, read_text({"output": value.get("output")}, None))


def _entries(checks: Mapping[str, Any]) -> Iterator[ReportedEntry]:
    for key, listed in checks.items():
        nodes = [node for node in (listed if isinstance(listed, list) else [listed]) if isinstance(node, Mapping)]
        for number, node in enumerate(nodes, 1):
            own = node.get("componentId") if isinstance(node.get("componentId"), str) else str(number)
            yield _entry(key if len(nodes) == 1 else f"{key}/{own}", node)


def _entry(name: str, node: Mapping[str, Any]) -> ReportedEntry:
    word, observed = read_word(node.get("status")) or "pass", _observed(node)
    took = parse_duration_ms(observed) if name.partition(":")[2].startswith("responseTime") else None
    return make_entry(name, word, {"output": node.get("output")}, None, duration_ms=took, observed=observed)


def _observed(node: Mapping[str, Any]) -> str:
    """Return `250 ms`; empty for a value that is not a number, a text or a boolean."""
    value, unit = node.get("observedValue"), node.get("observedUnit")
    if not isinstance(value, (str, int, float)):
        return ""
    shown = ("true" if value else "false") if isinstance(value, bool) else str(value)
    return f"{shown} {unit if isinstance(unit, str) else ''}".strip()[:_MAX_OBSERVED]
