"""What claims and results met in the store last: health goes by it as well as by a ping.

A ping writes one row. Where a part of the file is damaged that row may be well while nothing else is, so the store
counts as down as long as claims or results fail. Noted by WatchedRuns, asked by the store's part of health.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from scheduler.stores.port import StoreDamaged, StoreUnavailable

FAILURE_REMEMBERED_S = 10.0
"""Seconds for which a claim or a result that failed counts."""


class StoreFailures:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._error: StoreUnavailable | None = None
        self._at = float("-inf")

    def record(self, answers: Iterable[object]) -> None:
        """Note what a store answered to claims or results."""
        succeeded = False
        for answer in answers:
            if isinstance(answer, StoreUnavailable):
                self._error, self._at = answer, self._monotonic()
                return
            succeeded = True
        # A full disk or a lock concerns the whole file, and is over when something succeeds; damage does not.
        if succeeded and not isinstance(self._error, StoreDamaged):
            self._error = None

    @property
    def recent_error(self) -> StoreUnavailable | None:
        """Why a claim or a result failed within the last seconds; None if they succeed."""
        return self._error if self._monotonic() - self._at < FAILURE_REMEMBERED_S else None
