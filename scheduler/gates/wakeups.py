"""Calls tickets that wait in this process, so that they are asked again as soon as that is worthwhile.

Gates call; the waiting itself is `Gates.wait`. What other processes do calls nobody, so whoever waits also looks again
now and then.
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
    """Return when a ticket that waits since then is checked again.

    Only the first one of a line may find what it waits for; the others are called when it is their turn.
    """
    return now + (recheck_backoff(now - since) if is_first else QUEUED_RECHECK_AFTER)


class Wakeups:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sleeping: dict[str, asyncio.Task[None]] = {}
        self._woken_early: set[str] = set()

    def wake(self, run_id: str) -> None:
        """End the wait of this ticket, also one that only begins."""
        task = self._sleeping.get(run_id)
        if task is None:
            self._woken_early.add(run_id)
        else:
            task.cancel()

    def clear(self, run_id: str) -> None:
        """It waits no more, so a call that came too late is void."""
        self._woken_early.discard(run_id)

    async def wait(self, run_id: str, seconds: float) -> None:
        """Until this ticket is called, `seconds` at most."""
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
