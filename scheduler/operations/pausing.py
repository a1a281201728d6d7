"""Pausing a job and resuming it. A paused job has no scheduled runs; those that people ask for run."""

from __future__ import annotations

from datetime import datetime

from jobs.ports import Clock
from scheduler.catalog import Catalog
from scheduler.operations.audit import Way, audit
from scheduler.operations.errors import Unusable
from scheduler.stores.pauses import Pause, Pauses

LONGEST_REASON = 500
"""Characters."""


class Pausing:
    def __init__(self, catalog: Catalog, pauses: Pauses, clock: Clock) -> None:
        self._catalog = catalog
        self._pauses = pauses
        self._clock = clock

    async def pause(self, name: str, *, until: datetime | None = None, reason: str = "", way: Way) -> Pause:
        """Pause until an instant, or until it is resumed. A job that is paused already gets the new end and reason.

        Raises:
            UnknownJob: no job has that name.
            Unusable: `until` lies in the past, or the reason is too long.
            StoreError: nothing was changed.
        """
        self._catalog.get(name)
        if len(reason) > LONGEST_REASON:
            raise Unusable("reason", f"{len(reason)} characters are too many: at most {LONGEST_REASON}")
        now = self._clock.now()
        if until is not None and until <= now:
            raise Unusable("until", f"{until:%Y-%m-%d %H:%M:%S}Z lies in the past: now it is {now:%Y-%m-%d %H:%M:%S}Z")
        before = (await self._pauses.active(now, fresh=True)).get(name)
        pause = Pause(name, now if before is None else before.since, until, reason)
        await self._pauses.put(pause)
        audit(f"job {name} was {pause}", way)
        return pause

    async def resume(self, name: str, *, way: Way) -> bool:
        """End the pause; False if there was none.

        Raises:
            UnknownJob: no job has that name.
            StoreError: nothing was changed.
        """
        self._catalog.get(name)
        now = self._clock.now()
        paused = name in await self._pauses.active(now, fresh=True)
        await self._pauses.end(name, now)
        if paused:
            audit(f"job {name} was resumed", way)
        return paused
