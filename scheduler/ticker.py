"""The embedded host's tick: wakes at each due instant and starts what is due then.

One due-heap for the life of the process; between two instants it sleeps. Started by scheduler.embedded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from jobs.ports import Clock
from jobs.runs import Ticket
from scheduler.catalog import Catalog
from scheduler.planning.heap import Due, DueHeap

_log = logging.getLogger("scheduler.ticker")

LONGEST_SLEEP = 1.0
"""Seconds: a change of the wall clock is noticed within this time."""
STILL_RUN = timedelta(seconds=60)
"""What fell due longer ago (the machine slept, the process hung) is not run any more."""
BACKWARDS = timedelta(seconds=2)
"""A wall clock set back by more than this makes the plan anew; claims keep an instant from running twice."""


class Ticker:
    """Plans from `start` on; hands each due ticket to `submit`, which returns at once."""

    def __init__(self, catalog: Catalog, submit: Callable[[Ticket], object], clock: Clock) -> None:
        self._catalog = catalog
        self._submit = submit
        self._clock = clock
        self._last = clock.now()
        self._heap = DueHeap(catalog.schedules(), self._last)
        self.missed = 0
        """Due instants that were not run because they lay too far back."""

    @property
    def last_tick(self) -> datetime:
        """For health: when it last looked."""
        return self._last

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            self.tick()
            await self._clock.sleep(self._pause())

    def tick(self) -> None:
        """Start everything that is due now."""
        now = self._clock.now()
        if now < self._last - BACKWARDS:
            _log.warning("the wall clock went back by %s; planning anew", self._last - now)
            self._heap = DueHeap(self._catalog.schedules(), now)
        self._last = now
        for due in self._heap.pop_until(now, not_before=now - STILL_RUN):
            self._start(due)

    def _start(self, due: Due) -> None:
        if due.missed:
            self.missed += 1
            _log.warning("job %s was due at %s and is too late to run", due.job, due.at.isoformat())
            return
        entry = self._catalog.get(due.job)
        self._submit(Ticket.scheduled(due.job, due.at, entry.generation))

    def _pause(self) -> float:
        next_at = self._heap.next_at
        if next_at is None:
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(0.0, (next_at - self._clock.now()).total_seconds()))
