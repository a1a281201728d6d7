"""Entries about the HTTP status, `200`, `200-299`, `2xx`, `200-204,301` or a list, and the implicit one of a 2xx."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, PlainSerializer, SkipValidation, WithJsonSchema

from jobs.expectations.entry import ExpectationEntry, Feature, JudgedAnswer
from jobs.runs import Failure

StatusRanges = tuple[tuple[int, int], ...]
"""First and last status of each range, in the order of the definition."""

_ONE = re.compile(r"([1-5])xx|(\d{3})(?:\s*-\s*(\d{3}))?", re.ASCII | re.IGNORECASE)
_EXAMPLES = "write it like 200, 200-299, 2xx or 200-204,301"


def parse_statuses(value: object) -> StatusRanges:
    """Read statuses. Raises ValueError with examples."""
    parts = value if isinstance(value, list) else [value]
    if not parts:
        raise ValueError(f"has no status: {_EXAMPLES}")
    return tuple(one for part in parts for one in _ranges(part))


def format_statuses(ranges: StatusRanges) -> str:
    """The inverse of `parse_statuses`, as one text."""
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def _ranges(part: object) -> StatusRanges:
    if isinstance(part, bool) or not isinstance(part, (int, str)):
        raise ValueError(f"a status must be a number or a text: {_EXAMPLES}")
    return tuple(_read(piece.strip()) for piece in str(part).split(","))


def _read(text: str) -> tuple[int, int]:
    found = _ONE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is not a status: {_EXAMPLES}")
    hundreds, first, last = found.groups()
    if hundreds:
        return int(hundreds) * 100, int(hundreds) * 100 + 99
    return _range(int(first), int(last or first))


def _range(first: int, last: int) -> tuple[int, int]:
    if not (100 <= first <= 599 and 100 <= last <= 599):
        raise ValueError(f"{format_statuses(((first, last),))} is out of range: 100 to 599")
    if first > last:
        raise ValueError(f"{first}-{last} is a reversed range: write {last}-{first}")
    return first, last


StatusesField = Annotated[
    SkipValidation[Any],
    BeforeValidator(parse_statuses),
    PlainSerializer(format_statuses, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "array"}],
            "examples": [200, "200-299", "2xx", "200-204,301"],
        }
    ),
]
"""A field of statuses: a `StatusRanges` inside, one text outside."""


class StatusEntry(ExpectationEntry):
    """The HTTP status is one of these."""

    needs: ClassVar = Feature.HTTP_RESPONSE
    REPLACES: ClassVar = "status"

    status: StatusesField

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return format_statuses(self.status)

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        status = answer.observation.status
        return None if status is not None and _is_in_ranges(status, self.status) else _format_status(status)


class StatusNotEntry(ExpectationEntry):
    """The HTTP status is not one of these, whatever a `status` entry allows; alone, it allows all others."""

    needs: ClassVar = Feature.HTTP_RESPONSE
    REPLACES: ClassVar = "status"

    status_not: StatusesField

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return f"not {format_statuses(self.status_not)}"

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        status = answer.observation.status
        return _format_status(status) if status is None or _is_in_ranges(status, self.status_not) else None


def default_status_failure(status: int | None) -> Failure | None:
    """Return the failure of a status that is not a 2xx, or None. `status`: None if the answer has no status."""
    return None if status is None or 200 <= status <= 299 else Failure("status", "2xx", str(status))


def _is_in_ranges(status: int, ranges: StatusRanges) -> bool:
    return any(first <= status <= last for first, last in ranges)


def _format_status(status: int | None) -> str:
    return "none" if status is None else str(status)
