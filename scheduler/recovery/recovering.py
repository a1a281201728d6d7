"""Sweeps up what other processes left open, beside the server and the ticks. Used by the embedded host."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from jobs.ports import Clock
from scheduler.catalog import Catalog
from scheduler.health import PartHealth, Status
from scheduler.recovery.left_over import LeftOver
from scheduler.recovery.owners import HasDied, Owners, has_died
from scheduler.recovery.sweeping import QUEUED_FOR, Parts, Submit, Sweep
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.port import Row, StoreError
from scheduler.stores.run_keys import RunKey, reverse_ms
from scheduler.stores.runs import Runs
from scheduler.ticker import STILL_ON_TIME
from scheduler.work.worker import Worker

_log = logging.getLogger("scheduler.recovery")

EVERY = 30.0
"""Seconds between two sweeps."""
AGAIN_AFTER = 5.0
"""Seconds after which the first sweep is tried again, if the store did not let it come to its end."""
UNTOLD_FOR = timedelta(seconds=10)
"""A finished run that nobody was told of for so long is told of by nobody else."""
BATCH = 50
"""Runs that are recovered in one go: some milliseconds of the event loop, in which nothing else begins."""
AT_ONCE = 50
"""Recovered turns that go on at the same time: a quarter of the usual places."""


class Recovery:
    """`at_once`: how many recovered turns go on at the same time. See LeftOver."""

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        dead_letters: DeadLetters,
        worker: Worker,
        submit: Submit,
        clock: Clock,
        *,
        at_once: int = AT_ONCE,
        has_died: HasDied = has_died,
    ) -> None:
        self._clock = clock
        self._has_died = has_died
        self._left_over = LeftOver(at_once)
        self._parts = Parts(catalog, runs, dead_letters, worker, submit, clock, self._left_over)
        self._began = clock.now()
        self._is_first = True
        self._all = self._left = 0
        self._error: StoreError | None = None

    async def run(self) -> None:
        """Sweep at once, and then again and again until cancelled."""
        while self._is_first:
            if not await self._has_swept():
                await self._clock.sleep(AGAIN_AFTER)
        while True:
            await self._clock.sleep(EVERY)
            await self._has_swept(queued_for=QUEUED_FOR, untold_for=UNTOLD_FOR)

    async def health(self) -> Sequence[PartHealth]:
        """The part recovery: degraded until what was open at the start is taken over and begun again."""
        sentences = []
        if self._is_first:
            sentences.append(f"{self._left} of {self._all} runs that were open at the start are not recovered yet")
        if self._error is not None:
            sentences.append(f"the store did not let it go on, it is tried again: {self._error}")
        if self._left_over.number:
            sentences.append(
                f"{self._left_over.number} recovered runs wait to run again, {self._left_over.at_once} at a time"
            )
        status = Status.DEGRADED if sentences else Status.OK
        return (PartHealth("recovery", status, "; ".join(sentences)),)

    async def _has_swept(self, *, queued_for: timedelta = timedelta(), untold_for: timedelta = timedelta()) -> bool:
        try:
            await self.sweep(queued_for=queued_for, untold_for=untold_for)
        except StoreError as error:
            self._error = error
            _log.warning("could not recover what other processes left open: %s; it is tried again", error)
            return False
        self._error, self._is_first = None, False
        return True

    async def sweep(self, *, queued_for: timedelta = timedelta(), untold_for: timedelta = timedelta()) -> None:
        """Take over what nobody is at. By default also what was queued, or not told of, only a moment ago: at the
        start, when nobody but a command can be at anything. Raises StoreError; what is done until then is done."""
        now = self._clock.now()
        told_until = now - untold_for if untold_for else self._began
        sweep = Sweep(self._parts, Owners(self._has_died), now, queued_for=queued_for, told_until=told_until)
        rows = await self._listed(now)
        self._all = self._left = len(rows)
        try:
            for start in range(0, len(rows), BATCH):
                batch = rows[start : start + BATCH]
                await sweep.recover(batch)
                self._left -= len(batch)
                await asyncio.sleep(0)
        finally:
            sweep.close()

    async def _listed(self, now: datetime) -> Sequence[Row]:
        """The pointers of all open runs, by job, the oldest of each first. Jobs whose runs may still be on time come
        before all others."""
        by_job: defaultdict[str, list[Row]] = defaultdict(list)
        async for page in self._parts.runs.open_pages():
            for row in page:
                by_job[RunKey.read(row.key).job].append(row)
        on_time = reverse_ms(now - STILL_ON_TIME)
        jobs = sorted(by_job.values(), key=lambda newest_first: RunKey.read(newest_first[0].key).at > on_time)
        return [row for newest_first in jobs for row in reversed(newest_first)]
