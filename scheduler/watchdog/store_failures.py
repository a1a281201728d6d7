"""The last errors of claims and results, which health reports in addition to a ping of the store.

A ping writes one row. In a damaged file that row may be intact while others are not, so the store counts as down while
claims or results fail. Written by scheduler.watchdog.activity, read by scheduler.app.health_probes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from scheduler.stores.port import StoreDamaged, StoreUnavailable

FAILURE_REMEMBERED_S = 10.0
"""Seconds for which a failed claim or result counts."""


class StoreFailures:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._error: StoreUnavailable | None = None
        self._at = float("-inf")

    def record(self, answers: Iterable[object]) -> None:
        """Record the store's answers to claims or results."""
        succeeded = False
        for answer in answers:
            if isinstance(answer, StoreUnavailable):
                self._error, self._at = answer, self._monotonic()
                return
            succeeded = True
        # A full disk or a lock affects the whole file, and ends with the next success; damage does not.
        if succeeded and not isinstance(self._error, StoreDamaged):
            self._error = None

    @property
    def recent_error(self) -> StoreUnavailable | None:
        """The error of a claim or result within the last seconds; None if they succeed."""
        return self._error if self._monotonic() - self._at < FAILURE_REMEMBERED_S else None
