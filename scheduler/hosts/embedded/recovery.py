"""Recovers runs that other processes left open: unfinished runs, and finished runs that were not acknowledged.

The embedded host recovers them in the background, at the start and then periodically. In the Functions host, the queue
delivers tickets again instead. Recovered runs are submitted a few at a time: due runs must not wait behind thousands of
old ones. The worker grants places in the order of submission, so a run that is not submitted yet delays no due run.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from jobs.ports import Clock
from scheduler.catalog.catalog import Catalog
from scheduler.health import HealthStatus, PartHealth
from scheduler.hosts.embedded.recovery_sweep import (
    ABANDONED_QUEUED_AFTER,
    OwnerCheck,
    OwnerLiveness,
    RecoveryQueue,
    RecoverySweep,
    SweepDependencies,
    has_died,
)
from scheduler.hosts.embedded.ticker import ON_TIME_TOLERANCE
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.port import Row, StoreError
from scheduler.stores.runs.keys import RunKey, reverse_ms
from scheduler.stores.runs.repository import Runs
from scheduler.worker.worker import Worker

_log = logging.getLogger("scheduler.hosts.embedded.recovery")

SWEEP_INTERVAL = 30.0
"""Seconds between two sweeps."""
SWEEP_RETRY_INTERVAL = 5.0
"""Seconds after which the first sweep is tried again, if the store was unavailable."""
UNPUBLISHED_AFTER = timedelta(seconds=20)
"""No other process publishes a finished run that is unpublished for so long."""
_GRACES: Final = {"queued_grace": ABANDONED_QUEUED_AFTER, "unpublished_grace": UNPUBLISHED_AFTER}
"""Of sweeps while other processes may queue runs, or publish them."""
RECOVERY_BATCH_SIZE = 50
"""Runs that are recovered at a time: some milliseconds of the event loop."""
MAX_CONCURRENT_RECOVERY_TURNS = 50
"""Recovered turns in-flight: a quarter of the default concurrency."""


class RunRecovery:
    """`max_concurrent_turns`: recovered turns in-flight at most. See RecoveryQueue.

    `has_replicas`: other processes run jobs of this store. Then a run of a process that cannot be checked waits for the
    end of its lease, and also the first sweep leaves what is new to them. `on_time`: see PlanningPace.
    """

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        dead_letters: DeadLetters,
        worker: Worker,
        clock: Clock,
        *,
        max_concurrent_turns: int = MAX_CONCURRENT_RECOVERY_TURNS,
        has_died: OwnerCheck = has_died,
        has_replicas: bool = False,
        on_time: timedelta = ON_TIME_TOLERANCE,
    ) -> None:
        self._clock = clock
        self._has_died = has_died
        self._queue = RecoveryQueue(max_concurrent_turns)
        self._dependencies = SweepDependencies(catalog, runs, dead_letters, worker, clock, self._queue, on_time)
        self._has_replicas = has_replicas
        self._began = clock.now()
        self._is_first = not has_replicas
        self._total = self._remaining = 0
        self._error: StoreError | None = None

    async def run(self) -> None:
        """Sweep now, and then periodically until cancelled. A process that leads again begins again."""
        self._is_first = True
        try:
            while self._is_first:
                if not await (self._try_sweep(**_GRACES) if self._has_replicas else self._try_sweep()):
                    await self._clock.sleep(SWEEP_RETRY_INTERVAL)
            while True:
                await self._clock.sleep(SWEEP_INTERVAL)
                await self._try_sweep(**_GRACES)
        finally:
            self._is_first = False

    async def sweep_at_takeover(self) -> None:
        """Recover the runs of a leader that stopped. Raises StoreError."""
        await self.sweep(**_GRACES)

    async def health(self) -> Sequence[PartHealth]:
        """Return the part `recovery`: degraded until the runs that were open at the start are recovered."""
        sentences = []
        if self._is_first:
            sentences.append(
                f"{self._remaining} of {self._total} runs that were open at the start are not recovered yet"
            )
        if self._error is not None:
            sentences.append(f"recovery stopped and is retried: {self._error}")
        if self._queue.waiting_count:
            sentences.append(
                f"{self._queue.waiting_count} recovered runs wait to run again, "
                f"{self._queue.max_concurrent_turns} at a time"
            )
        status = HealthStatus.DEGRADED if sentences else HealthStatus.OK
        return (PartHealth("recovery", status, "; ".join(sentences)),)

    async def _try_sweep(
        self, *, queued_grace: timedelta = timedelta(), unpublished_grace: timedelta = timedelta()
    ) -> bool:
        try:
            await self.sweep(queued_grace=queued_grace, unpublished_grace=unpublished_grace)
        except StoreError as error:
            self._error = error
            _log.warning("could not recover the open runs of other processes: %s; retrying", error)
            return False
        self._error, self._is_first = None, False
        return True

    async def sweep(self, *, queued_grace: timedelta = timedelta(), unpublished_grace: timedelta = timedelta()) -> None:
        """Recover the runs whose process has died. Raises StoreError, after a part of the runs was recovered.

        By default this includes runs that were queued or finished a moment ago: at the start of the program, only a
        command can have runs in-flight.
        """
        now = self._clock.now()
        finished_until = now - unpublished_grace if unpublished_grace else self._began
        sweep = RecoverySweep(
            self._dependencies,
            OwnerLiveness(self._has_died, has_replicas=self._has_replicas),
            now,
            queued_grace=queued_grace,
            finished_until=finished_until,
        )
        rows = await self._list_open_runs(now)
        self._total = self._remaining = len(rows)
        try:
            for start in range(0, len(rows), RECOVERY_BATCH_SIZE):
                batch = rows[start : start + RECOVERY_BATCH_SIZE]
                await sweep.recover_batch(batch)
                self._remaining -= len(batch)
                await asyncio.sleep(0)
        finally:
            sweep.close()

    async def _list_open_runs(self, now: datetime) -> Sequence[Row]:
        """Return the pointers of all open runs by job, oldest first, starting with jobs whose runs may be on time."""
        by_job: defaultdict[str, list[Row]] = defaultdict(list)
        async for page in self._dependencies.runs.iterate_open_pages():
            for row in page:
                by_job[RunKey.from_row_key(row.key).job].append(row)
        on_time = reverse_ms(now - self._dependencies.on_time)
        jobs = sorted(by_job.values(), key=lambda newest_first: RunKey.from_row_key(newest_first[0].key).at > on_time)
        return [row for newest_first in jobs for row in reversed(newest_first)]
