"""Which runs count for alert rules: not those that were due in a window with `counts: false`. Used by history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from jobs.incidents.suppression.finding import SuppressionSet, counts_as_sample
from jobs.incidents.suppression.windows import MaintenanceWindow, RequestedWindow
from scheduler.alerting.rule_book import RuleBook


class CountedRuns:
    """`requested`: returns the windows that users and pipelines have requested, as far as they are known."""

    def __init__(self, book: Callable[[], RuleBook], requested: Callable[[], tuple[RequestedWindow, ...]]) -> None:
        self._book = book
        self._requested = requested
        self._computed_for: tuple[tuple[MaintenanceWindow, ...], tuple[RequestedWindow, ...]] = (), ()
        self._windows = SuppressionSet()

    def counts(self, job: str, at: datetime) -> bool:
        book, requested = self._book(), self._requested()
        defined = book.snapshot.alerting.windows if book.snapshot.alerting.parts else ()
        if not defined and not requested:
            return True
        if self._computed_for != (defined, requested):
            self._computed_for = defined, requested
            self._windows = SuppressionSet(
                tuple(each for each in defined if not each.counts),
                tuple(each for each in requested if not each.window.counts),
            )
        return not self._windows.sources or counts_as_sample(book.describe(job), self._windows, at)
