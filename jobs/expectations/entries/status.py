"""Entries about the HTTP status, and the implicit expectation of a 2xx."""

from __future__ import annotations

from typing import ClassVar

from jobs.expectations.answer import JudgedAnswer
from jobs.expectations.entry import ExpectationEntry
from jobs.expectations.features import Feature
from jobs.expectations.value_types.statuses import StatusesField, StatusRanges, format_statuses
from jobs.runs import Failure


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
