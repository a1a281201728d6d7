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

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        return status_failure(answer.observation.status, self.status, format_statuses(self.status))


class StatusNotEntry(ExpectationEntry):
    """The HTTP status is not one of these, whatever a `status` entry allows; alone, it allows all others."""

    needs: ClassVar = Feature.HTTP_RESPONSE
    REPLACES: ClassVar = "status"

    status_not: StatusesField

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        status = answer.observation.status
        if status is not None and not _is_in_ranges(status, self.status_not):
            return None
        return Failure("status_not", f"not {format_statuses(self.status_not)}", _format_status(status))


_SUCCESS = ((200, 299),)


def default_status_failure(status: int | None) -> Failure | None:
    """Return the failure of a status that is not a 2xx, or None. `status`: None if the answer has no status."""
    if status is None or 200 <= status <= 299:
        return None
    return status_failure(status, _SUCCESS, "2xx")


def status_failure(status: int | None, allowed: StatusRanges, allowed_text: str) -> Failure | None:
    """Return the failure of a status that is not allowed, or None."""
    if status is not None and _is_in_ranges(status, allowed):
        return None
    return Failure("status", allowed_text, _format_status(status))


def _is_in_ranges(status: int, ranges: StatusRanges) -> bool:
    return any(first <= status <= last for first, last in ranges)


def _format_status(status: int | None) -> str:
    return "none" if status is None else str(status)
