"""What the Functions host's timer does: plan ahead, send what may have been lost, tidy up. Called by
scheduler.hosts.functions.

Every method may be repeated: a ticket's id is its job and instant, and claims keep it from running twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from jobs.ports import Clock
from jobs.schedules import Schedule
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.dispatch.port import Dispatch, DispatchError
from scheduler.planning.due_heap import DueHeap, DueInstant
from scheduler.planning.plan import plan_due
from scheduler.stores.cursors import PLANNED_UNTIL_CURSOR, Cursors
from scheduler.stores.dead_letters.repository import DeadLetters
from scheduler.stores.pauses import Pauses
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Runs, RunState
from scheduler.stores.schedule_activations import ScheduleActivations
from scheduler.worker.claims.claimer import STORE_STALL_AFTER
from scheduler.worker.worker import Worker

_log = logging.getLogger("scheduler.hosts.functions.timer")

PLANNING_HORIZON = timedelta(seconds=75)
"""How far a tick plans ahead: a little longer than the minute between two ticks."""
ON_TIME_TOLERANCE = timedelta(seconds=60)
"""What a tick that comes late still plans; what fell due before is missed: see scheduler.planning.catch_up."""
STRANDED_AFTER = timedelta(minutes=2)
"""A run that people asked for and that is still queued after this time may have no message."""
STRANDED_CURSOR = "stranded-until"
"""The name of the cursor of those that were looked at."""
UNACKNOWLEDGED_AFTER = timedelta(minutes=2)
"""A run that was not settled for so long is followed up by nobody else, or only when its message comes again."""
PRUNE_INTERVAL = timedelta(hours=1)
PRUNE_CURSOR = "pruned-at"
PRUNE_TIMEOUT = 20.0
"""Seconds that one tick spends on old runs: the next one must not wait for it."""


class TimerHandler:
    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        worker: Worker,
        dispatch: Dispatch,
        cursors: Cursors,
        marks: ScheduleActivations,
        pauses: Pauses,
        dead_letters: DeadLetters,
        clock: Clock,
    ) -> None:
        """`worker` records what is left out."""
        self._catalog = catalog
        self._runs = runs
        self._worker = worker
        self._dispatch = dispatch
        self._cursors = cursors
        self._activations = marks
        self._pauses = pauses
        self._dead_letters = dead_letters
        self._clock = clock
        self._recorded_jobs: JobSnapshot | None = None
        """The set whose schedules are marked."""
        self._active_since: dict[str, datetime] = {}
        self._recently_activated: dict[str, datetime] = {}
        """Jobs whose schedules may have begun since the last tick that came to its end, and when."""
        self._heap: DueHeap | None = None
        self._heap_jobs: JobSnapshot | None = None

    async def plan_ahead(self) -> int:
        """Put on the queue what falls due until the horizon. Returns the number of tickets.

        The cursor moves after the tickets are sent: a crash in between plans them again, and their ids are the same.

        Raises:
            StoreError, DispatchError: the next tick does what this one did not.
        """
        now = self._clock.now()
        await self._record_activations(self._catalog.snapshot, now)
        planned_until = await self._planning_start(now)
        paused = await self._pauses.list_active(now, fresh=True)
        # No await from here to the plan: two ticks of one process must not move the heap for each other.
        cursors, jobs = self._heap_at(planned_until, now)
        also = self._due_since_activation(cursors)
        made = plan_due(
            jobs, cursors, now, PLANNING_HORIZON, still_on_time=ON_TIME_TOLERANCE, pauses=paused, extra=also
        )
        tickets = [*made.on_time, *(ticket for late in made.caught_up for ticket in late)]
        if tickets:
            await self._dispatch.send(tickets)
        for left_out in made.missed:
            await self._worker.record_missed(left_out)
        if made.until < planned_until:
            _log.warning("the clock was put back: all until %s was planned, now until %s", planned_until, made.until)
            await self._cursors.rewind(PLANNED_UNTIL_CURSOR, made.until)
        else:
            await self._cursors.advance(PLANNED_UNTIL_CURSOR, made.until)
        _log.debug("planned %d tickets until %s", len(tickets), made.until.isoformat())
        return len(tickets)

    async def plan_ahead_with_retry(self) -> int:
        """`plan_ahead`, and once more if it failed only after a while: the store or the queue stands still, rather than
        to refuse, and the next tick would come too late for what falls due within the minute. Raises as `plan_ahead`.
        """
        began = self._clock.monotonic()
        try:
            return await self.plan_ahead()
        except (StoreError, DispatchError) as error:
            if self._clock.monotonic() - began < STORE_STALL_AFTER:
                raise
            _log.warning("could not plan ahead: %s; trying once more", error)
        return await self.plan_ahead()

    async def _record_activations(self, jobs: JobSnapshot, now: datetime) -> None:
        """Mark since when schedules are in force that are new to this process."""
        before = self._recorded_jobs
        if jobs is before:
            return
        if before is None:
            changed: Mapping[str, Schedule | None] = dict(jobs.schedules())
            since = await self._activations.record_all(jobs.schedules(), now)
        else:
            changed = jobs.changed_schedules(before)
            since = await self._activations.record_changes(changed, now)
        for job in changed:
            self._active_since.pop(job, None)
            self._recently_activated.pop(job, None)
        self._active_since |= since
        self._recently_activated |= since
        self._recorded_jobs = jobs

    async def _planning_start(self, now: datetime) -> datetime:
        """Where the last tick ended, of whichever instance."""
        # No tick has come to its end yet: what fell due since the first one began counts as missed.
        return await self._cursors.read(PLANNED_UNTIL_CURSOR) or min(self._active_since.values(), default=now)

    def _heap_at(self, planned_until: datetime, now: datetime) -> tuple[DueHeap, JobSnapshot]:
        """The heap of the ticks before this one, and the set that it plans. It is where they left it, unless another
        instance planned since, or a tick was cut short after its plan."""
        jobs = self._recorded_jobs
        assert jobs is not None, "a tick notes first"
        if self._heap is None or self._heap_jobs is None:
            self._heap = DueHeap(jobs.schedules(), planned_until, self._active_since)
        self._heap.move_to(planned_until, now)
        if self._heap_jobs is not None and self._heap_jobs is not jobs:
            self._heap.replace_schedules(jobs.changed_schedules(self._heap_jobs), self._active_since)
        self._heap_jobs = jobs
        return self._heap, jobs

    def _due_since_activation(self, heap: DueHeap) -> list[DueInstant]:
        """What fell due of new schedules before where planning is. Ticks before they began could not plan it, and one
        that came to its end since has."""
        last = heap.position - PLANNING_HORIZON
        self._recently_activated = {job: since for job, since in self._recently_activated.items() if since > last}
        return [found for job, since in self._recently_activated.items() for found in heap.due_after([job], since)]

    async def planned_until(self) -> datetime | None:
        """The end of the last tick's horizon; None before the first one. Raises StoreError."""
        return await self._cursors.read(PLANNED_UNTIL_CURSOR)

    async def resend_stranded(self) -> int:
        """Send runs that were stored as queued and perhaps never sent: the queue was away, or the process died.

        Each is sent again once, so a queue that is only long does not grow by it. Returns the number of tickets.

        Raises:
            StoreError, DispatchError: the next tick does it.
        """
        until = self._clock.now() - STRANDED_AFTER
        since = await self._cursors.read(STRANDED_CURSOR)
        queued = (record.ticket for record in await self._runs.list_unfinished() if record.state is RunState.QUEUED)
        stranded = [ticket for ticket in queued if (since is None or since < ticket.due_at) and ticket.due_at <= until]
        if stranded:
            await self._dispatch.send(stranded)
            _log.warning("%d runs were still queued after %s: sent again", len(stranded), STRANDED_AFTER)
        await self._cursors.advance(STRANDED_CURSOR, until)
        return len(stranded)

    async def publish_unacknowledged(self) -> int:
        """Follow up runs that were recorded some time ago and not settled: the process died in between, or what follows
        could not be started. Returns how many are settled now. Raises StoreError: the next tick does it.
        """
        until = self._clock.now() - UNACKNOWLEDGED_AFTER
        untold = [(run, None) for run in await self._runs.list_unacknowledged() if run.finished_at <= until]
        errors = await self._worker.publisher.publish_all(untold)
        for error in errors:
            _log.warning("%s", error)
        return len(untold) - len(errors)

    async def prune(self, age_s: float, runs_per_job: int) -> None:
        """Delete old runs and dead letters, each hour. Raises StoreError."""
        now = self._clock.now()
        last = await self._cursors.read(PRUNE_CURSOR)
        if last is not None and now - last < PRUNE_INTERVAL:
            return
        try:
            async with asyncio.timeout(PRUNE_TIMEOUT):
                removed = await self._runs.prune(now, age_s, runs_per_job)
                removed += await self._dead_letters.prune(now, age_s)
        except TimeoutError:
            _log.info("there are more old runs than %g s remove: the next tick goes on", PRUNE_TIMEOUT)
            return
        if removed:
            _log.info("removed %d old runs and dead letters", removed)
        await self._cursors.advance(PRUNE_CURSOR, now)
