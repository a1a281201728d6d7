"""Conditions about the body of a DNS answer. Called by mapping. Pure.

Gatus compares the last record of an answer; here each answer is compared.
"""

from __future__ import annotations

from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.sources.gatus.conditions.bodies import Entry, map_value
from config.importers.sources.gatus.conditions.operands import Condition


def map_answers(condition: Condition) -> tuple[list[Entry], str]:
    """Return the entries for a condition about an answer, and in what they differ. Raises NotCarriedOver."""
    left, expected = condition.left, condition.right.text
    how = "each answer is compared; Gatus compares the last one"
    if left.path or left.function:
        raise NotCarriedOver("a function or path of a DNS answer has no meaning", "answers")
    if condition.operator == "==" and "(" not in expected:
        return [{"answers": {"contains": _record(expected)}}], "any of the answers"
    entries = map_value(condition, lambda comparison: {"answers": _without_dots(comparison)}, is_json=False)
    return entries, how


def _record(text: str) -> str:
    return text.rstrip(".") or text


def _without_dots(comparison: Entry) -> Entry:
    """Names of answers have no dot at their end here."""

    def strip(value: Any) -> Any:
        return _record(value) if isinstance(value, str) else [_record(str(one)) for one in value]

    return {name: strip(value) if isinstance(value, (str, list)) else value for name, value in comparison.items()}
