"""Entries about the HTTP status, and the implicit expectation of a 2xx."""

from __future__ import annotations

from typing import ClassVar

from jobs.expectations.answer import Answer
from jobs.expectations.entry import Entry
from jobs.expectations.statuses import Ranges, Statuses, format_statuses
from jobs.runs import Failure


class StatusIs(Entry):
    """The HTTP status is one of these."""

    kinds: ClassVar = ("http",)
    about: ClassVar = "status"

    status: Statuses

    def unmet(self, answer: Answer) -> Failure | None:
        return unexpected_status(answer.seen.status, self.status, format_statuses(self.status))


class StatusIsNot(Entry):
    """The HTTP status is not one of these, whatever a `status` entry allows; alone, it allows all others."""

    kinds: ClassVar = ("http",)
    about: ClassVar = "status"

    status_not: Statuses

    def unmet(self, answer: Answer) -> Failure | None:
        status = answer.seen.status
        if status is not None and not _among(status, self.status_not):
            return None
        return Failure("status_not", f"not {format_statuses(self.status_not)}", _shown(status))


_SUCCESS = ((200, 299),)


def not_a_success(status: int | None) -> Failure | None:
    """Return the failure of a status that is not a 2xx, or None. `status`: None if the answer has no status."""
    if status is None or 200 <= status <= 299:
        return None
    return unexpected_status(status, _SUCCESS, "2xx")


def unexpected_status(status: int | None, allowed: Ranges, allowed_text: str) -> Failure | None:
    """Return the failure of a status that is not allowed, or None."""
    if status is not None and _among(status, allowed):
        return None
    return Failure("status", allowed_text, _shown(status))


def _among(status: int, ranges: Ranges) -> bool:
    return any(first <= status <= last for first, last in ranges)


def _shown(status: int | None) -> str:
    return "none" if status is None else str(status)
