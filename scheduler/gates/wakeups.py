"""Wakes tickets that wait at a gate in this process, so that the gate checks them again early.

Called by the gates; `Gates.wait` does the waiting. Other processes wake no ticket here, so a waiting ticket is also
checked at intervals.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from jobs.ports import Clock

MIN_RECHECK_BACKOFF, MAX_RECHECK_BACKOFF = timedelta(seconds=0.5), timedelta(seconds=2)
QUEUED_RECHECK_AFTER = timedelta(seconds=10)


def recheck_backoff(waited: timedelta, longest: timedelta = MAX_RECHECK_BACKOFF) -> timedelta:
    """Return the pause before the next check: a quarter of the time that the ticket has waited, within bounds."""
    return min(max(waited / 4, MIN_RECHECK_BACKOFF), longest)


def next_check_at(since: datetime, now: datetime, *, is_first: bool) -> datetime:
    """Return the instant of the next check of a ticket that waits since `since`.

    Only the first ticket of a queue can proceed; the others are woken when it is their turn.
    """
    return now + (recheck_backoff(now - since) if is_first else QUEUED_RECHECK_AFTER)


class Wakeups:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sleeping: dict[str, asyncio.Task[None]] = {}
        self._woken_early: set[str] = set()

    def wake(self, run_id: str) -> None:
        """End the wait of this ticket, or its next wait if it does not wait now."""
        task = self._sleeping.get(run_id)
        if task is None:
            self._woken_early.add(run_id)
        else:
            task.cancel()

    def clear(self, run_id: str) -> None:
        """Remove a wake-up that arrived after the wait of this ticket."""
        self._woken_early.discard(run_id)

    async def wait(self, run_id: str, seconds: float) -> None:
        """Wait until this ticket is woken, at most `seconds`."""
        if run_id in self._woken_early or seconds <= 0:
            self._woken_early.discard(run_id)
            return
        task = asyncio.ensure_future(self._clock.sleep(seconds))
        self._sleeping[run_id] = task
        try:
            await asyncio.wait((task,))
        finally:
            del self._sleeping[run_id]
            task.cancel()
        if not task.cancelled():
            task.result()
