"""Operators of assertions as comparisons of expectations. Used by assertions. Pure."""

from __future__ import annotations

import re
from typing import Any

from config.importers.errors import NotCarriedOver

_COMPARISONS = {
    "is": "equals",
    "isNot": "not_equals",
    "contains": "contains",
    "doesNotContain": "not_contains",
    "matches": "matches",
    "doesNotMatch": "not_matches",
}
_NUMERIC = {"lessThan": "below", "lessThanOrEqual": "at_most", "moreThan": "above", "moreThanOrEqual": "at_least"}
_MISSING = ("doesNotExist", "isUndefined")
_NEAREST = "write an expectation for it, such as cel"
_LEAST_STATUS, _MOST_STATUS = 100, 599


def convert_comparison(operator: str, target: Any) -> dict[str, Any]:
    """Return a comparison such as `{contains: ok}`. Raises NotCarriedOver."""
    if operator in _MISSING:
        return {"exists": False}
    if operator in _NUMERIC:
        return {_NUMERIC[operator]: read_number(target)}
    key = _COMPARISONS.get(operator)
    if key is None:
        raise NotCarriedOver(f"the operator {operator} has no equivalent", _NEAREST)
    return {key: target if key in ("equals", "not_equals") else str(target)}


def read_number(target: Any) -> float | int:
    """Return a number; also of a text with one. Raises NotCarriedOver."""
    try:
        number = float(target)
    except (TypeError, ValueError):
        raise NotCarriedOver("it compares with no number", _NEAREST) from None
    if number != number or abs(number) > 1e15:
        raise NotCarriedOver("it compares with no number", _NEAREST)
    return int(number) if number.is_integer() else number


def convert_statuses(operator: str, target: Any) -> list[Any]:
    """Return the statuses that an assertion accepts, as ranges. Raises NotCarriedOver."""
    accepted = [status for status in range(_LEAST_STATUS, _MOST_STATUS + 1) if _accepts(operator, target, status)]
    if not accepted:
        raise NotCarriedOver("no status fulfils it", _NEAREST)
    ranges: list[list[int]] = []
    for status in accepted:
        if ranges and status == ranges[-1][1] + 1:
            ranges[-1][1] = status
        else:
            ranges.append([status, status])
    return [low if low == high else f"{low}-{high}" for low, high in ranges]


def _accepts(operator: str, target: Any, status: int) -> bool:
    text = str(target).strip()
    match operator:
        case "is":
            return str(status) == text
        case "isNot":
            return str(status) != text
        case "contains":
            return text in str(status)
        case "doesNotContain":
            return text not in str(status)
        case "matches" | "doesNotMatch":
            # The pattern is that of a user, and short texts are matched: a status has three digits.
            return _matches(text, str(status)) is (operator == "matches")
        case "lessThan":
            return status < read_number(target)
        case "lessThanOrEqual":
            return status <= read_number(target)
        case "moreThan":
            return status > read_number(target)
        case "moreThanOrEqual":
            return status >= read_number(target)
    raise NotCarriedOver(f"the operator {operator} has no equivalent", _NEAREST)


def _matches(pattern: str, text: str) -> bool:
    if len(pattern) > 100:
        raise NotCarriedOver("its pattern is too long", _NEAREST)
    try:
        return re.search(pattern, text) is not None
    except (re.error, OverflowError, RecursionError):
        raise NotCarriedOver("its pattern is not valid", _NEAREST) from None
