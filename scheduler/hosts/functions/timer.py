"""Work of the Functions host's timer: plan ahead, resend lost tickets, delete old rows, report missing ticks.

Every method is idempotent: a ticket's id is its job and instant, and its claim prevents a second run. Jobs that a
request has changed are planned at once, until the end of the last tick's horizon: without it, a new job would be due
for the first time after the next tick.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from jobs.ports import Clock
from jobs.runs import Ticket
from jobs.schedules import Schedule, to_milliseconds
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.dispatch.port import Dispatch, DispatchError
from scheduler.health import HealthProbe, HealthStatus, PartHealth
from scheduler.planning.due_heap import DueHeap, DueInstant
from scheduler.planning.plan import Plan, plan_due
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.gates import Pauses
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Runs
from scheduler.stores.runs.rollups.upkeep import ROLLUP_AGE
from scheduler.stores.schedules import (
    MAX_PLANNING_GAP,
    PLANNED_UNTIL_CURSOR,
    STRANDED_CURSOR,
    Cursors,
    ScheduleActivations,
)
from scheduler.worker.claims import STORE_STALL_AFTER
from scheduler.worker.worker import Worker

_log = logging.getLogger("scheduler.hosts.functions.timer")

PLANNING_HORIZON = timedelta(seconds=75)
"""How far a tick plans ahead: a little more than the minute between two ticks."""
ON_TIME_TOLERANCE = timedelta(seconds=60)
"""How late a tick still plans an instant as on time. Older ones are missed: see scheduler.planning.plan."""
STRANDED_AFTER = timedelta(minutes=2)
"""A requested run that is still queued after this time may have lost its message."""
UNACKNOWLEDGED_AFTER = timedelta(minutes=2)
"""A run that is not acknowledged after this time has lost its process, or waits for its message."""
PRUNE_INTERVAL = timedelta(hours=1)
PRUNE_CURSOR = "pruned-at"
PRUNE_TIMEOUT = 20.0
"""Seconds that a tick spends on old runs, so that the next tick is not late."""


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
        prune_more: Callable[[datetime], Awaitable[None]] | None = None,
        on_planned: Callable[[datetime, datetime, Plan], None] = lambda started_at, ended_at, plan: None,
    ) -> None:
        """`prune_more`: deletes other old rows, once an hour. `on_planned`: called with the start and the end of a
        tick, and with what it has sent.
        """
        self._on_planned = on_planned
        self._prune_more = prune_more
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
        """The set whose activation times are recorded."""
        self._active_since: dict[str, datetime] = {}
        self._recently_activated: dict[str, datetime] = {}
        """Activation times of schedules that may be newer than the last tick that finished, by job."""
        self._planned_at_change: dict[str, datetime] = {}
        """Until when the instants of these schedules were planned when they changed, by job."""
        self._heap: DueHeap | None = None
        self._heap_jobs: JobSnapshot | None = None

    async def plan_ahead(self) -> int:
        """Send the tickets that are due until the horizon. Return their number.

        The cursor moves after the tickets are sent: a crash in between plans them again, with the same ids.

        Raises:
            StoreError, DispatchError: the next tick plans the rest.
        """
        now = self._clock.now()
        await self._record_activations(self._catalog.snapshot, now)
        planned_until = await self._planning_start(now)
        if planned_until + MAX_PLANNING_GAP < now:
            await self._cursors.find_start(now)
        await self._read_planned_at_change(planned_until)
        paused = await self._pauses.list_active(now, fresh=True)
        # No await from here to the plan: two ticks of one process share the heap.
        cursors, jobs = self._heap_at(planned_until, now)
        newly_due = self._due_since_activation(cursors)
        plan = plan_due(
            jobs, cursors, now, PLANNING_HORIZON, still_on_time=ON_TIME_TOLERANCE, pauses=paused, extra=newly_due
        )
        tickets = [*plan.on_time, *(ticket for late in plan.caught_up for ticket in late)]
        if tickets:
            await self._dispatch.send(tickets)
        for missed in plan.missed:
            await self._worker.skip_recorder.record_missed(missed)
        if plan.until < planned_until:
            _log.warning(
                "the clock was set back: the cursor was at %s, planning continues at %s", planned_until, plan.until
            )
            await self._cursors.rewind(PLANNED_UNTIL_CURSOR, plan.until)
        else:
            await self._cursors.advance(PLANNED_UNTIL_CURSOR, plan.until)
        self._on_planned(now, self._clock.now(), plan)
        _log.debug("planned %d tickets until %s", len(tickets), plan.until.isoformat())
        return len(tickets)

    async def plan_ahead_with_retry(self) -> int:
        """Plan ahead, and retry once if it failed after a stall: then the next tick would be late for this minute.

        Raises as `plan_ahead`.
        """
        began = self._clock.monotonic()
        try:
            return await self.plan_ahead()
        except (StoreError, DispatchError) as error:
            if self._clock.monotonic() - began < STORE_STALL_AFTER:
                raise
            _log.warning("could not plan ahead: %s; retrying once", error)
        return await self.plan_ahead()

    async def _record_activations(self, jobs: JobSnapshot, now: datetime) -> None:
        """Record the activation times of schedules that are new to this process."""
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
            self._planned_at_change.pop(job, None)
        self._active_since |= since
        self._recently_activated |= since
        self._recorded_jobs = jobs

    async def _read_planned_at_change(self, planned_until: datetime) -> None:
        """Read which instants scheduler.hosts.functions.timer has planned since the last tick."""
        last = planned_until - PLANNING_HORIZON
        recent = {job for job, since in self._recently_activated.items() if since > last}
        if unread := recent - self._planned_at_change.keys():
            self._planned_at_change |= await self._activations.find_planned(unread)

    async def _planning_start(self, now: datetime) -> datetime:
        """Return where the last tick of any instance ended."""
        # No tick has finished yet: instants since the first one started count as missed.
        return await self._cursors.read(PLANNED_UNTIL_CURSOR) or min(self._active_since.values(), default=now)

    def _heap_at(self, planned_until: datetime, now: datetime) -> tuple[DueHeap, JobSnapshot]:
        """Return the heap at the cursor, and the set that it plans.

        It has to move only if another instance has planned since, or a tick ended between its plan and its cursor.
        """
        jobs = self._recorded_jobs
        assert jobs is not None, "a tick records the activations first"
        if self._heap is None or self._heap_jobs is None:
            self._heap = DueHeap(jobs.schedules(), planned_until, self._active_since)
        self._heap.move_to(planned_until, now)
        if self._heap_jobs is not None and self._heap_jobs is not jobs:
            self._heap.replace_schedules(jobs.changed_schedules(self._heap_jobs), self._active_since)
        self._heap_jobs = jobs
        return self._heap, jobs

    def _due_since_activation(self, heap: DueHeap) -> list[DueInstant]:
        """Return the instants of new schedules that are due before the cursor.

        Earlier ticks did not know these schedules; a tick that has finished since has planned them.
        """
        last = heap.position - PLANNING_HORIZON
        self._recently_activated = {job: since for job, since in self._recently_activated.items() if since > last}
        planned = self._planned_at_change
        return [
            found
            for job, since in self._recently_activated.items()
            for found in heap.due_after([job], max(since, planned.get(job, since)))
        ]

    async def planned_until(self) -> datetime | None:
        """Return the end of the last tick's horizon; None before the first tick. Raises StoreError."""
        return await self._cursors.read(PLANNED_UNTIL_CURSOR)

    async def resend_stranded(self) -> int:
        """Send the tickets of runs that may have no message: queued ones, if the queue was unavailable or the process
        died; also running ones whose lease has ended, if the store was restored next to another queue.

        Each is sent again once, so a long queue does not grow. Return the number of tickets.

        Raises:
            StoreError, DispatchError: the next tick sends them.
        """
        now = self._clock.now()
        until = now - STRANDED_AFTER
        since = await self._cursors.read(STRANDED_CURSOR)
        open_tickets = (record.ticket for record in await self._runs.list_unfinished() if record.is_unowned(now))
        stranded = [one for one in open_tickets if (since is None or since < one.due_at) and one.due_at <= until]
        if stranded:
            await self._dispatch.send(stranded)
            _log.warning("resent %d runs that still had no process after %s", len(stranded), STRANDED_AFTER)
        await self._cursors.advance(STRANDED_CURSOR, until)
        return len(stranded)

    async def publish_unacknowledged(self) -> int:
        """Publish runs that were recorded but not acknowledged: their process died, or a dependent did not start.

        Return the number of runs that are acknowledged now. Raises StoreError: the next tick publishes them.
        """
        until = self._clock.now() - UNACKNOWLEDGED_AFTER
        unpublished = [(run, None) for run in await self._runs.list_unacknowledged() if run.finished_at <= until]
        errors = await self._worker.publisher.publish_all(unpublished)
        for error in errors:
            _log.warning("%s", error)
        return len(unpublished) - len(errors)

    async def prune(self, age_s: float, runs_per_job: int, rollup_age_s: float = ROLLUP_AGE) -> None:
        """Delete old runs, rollups and dead letters, once an hour. Raises StoreError."""
        now = self._clock.now()
        last = await self._cursors.read(PRUNE_CURSOR)
        if last is not None and now - last < PRUNE_INTERVAL:
            return
        try:
            async with asyncio.timeout(PRUNE_TIMEOUT):
                removed = await self._runs.prune(now, age_s, runs_per_job, rollup_age_s)
                removed += await self._dead_letters.prune(now, age_s)
                if self._prune_more is not None:
                    await self._prune_more(now)
        except TimeoutError:
            _log.info("could not delete all old runs within %g s; the next tick continues", PRUNE_TIMEOUT)
            return
        if removed:
            _log.info("deleted %d old runs and dead letters", removed)
        await self._cursors.advance(PRUNE_CURSOR, now)


MAX_TICK_GAP = 180.0
"""Seconds without a tick after which health is down: two ticks were missed."""


def last_tick_reader(
    planned_until: Callable[[], Awaitable[datetime | None]],
) -> Callable[[], Awaitable[datetime | None]]:
    """Return a function that reads the instant of the last tick of any instance; None before the first."""

    async def last_tick() -> datetime | None:
        until = await planned_until()
        return None if until is None else until - PLANNING_HORIZON

    return last_tick


def tick_probe(planned_until: Callable[[], Awaitable[datetime | None]], clock: Clock) -> HealthProbe:
    """Return a probe. `planned_until`: the end of the last tick's horizon, of any instance; None before the first."""
    opened_at = clock.now()

    async def probe() -> Sequence[PartHealth]:
        until = await planned_until()
        last_tick = opened_at if until is None else max(opened_at, until - PLANNING_HORIZON)
        gap = (clock.now() - last_tick).total_seconds()
        if gap <= MAX_TICK_GAP:
            return (PartHealth("ticks", HealthStatus.OK),)
        message = f"no tick for {gap:.0f} s, so no job starts: check the function tick and its log"
        return (PartHealth("ticks", HealthStatus.DOWN, message),)

    return probe


class ChangedJobPlanner:
    def __init__(
        self,
        catalog: Catalog,
        dispatch: Dispatch,
        cursors: Cursors,
        activations: ScheduleActivations,
        pauses: Pauses,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._dispatch = dispatch
        self._cursors = cursors
        self._activations = activations
        self._pauses = pauses
        self._clock = clock

    async def plan(self, before: JobSnapshot) -> None:
        """Send the tickets of schedules that are new or changed since `before`, until the cursor of the ticks.

        The tickets are sent first, then the schedules are marked as planned until there, so that the next tick
        continues behind them. A crash in between plans them again, with the same ids.

        Raises StoreError, DispatchError: the next tick plans the rest.
        """
        jobs, now = self._catalog.snapshot, self._clock.now()
        changed = jobs.changed_schedules(before)
        until = await self._cursors.read(PLANNED_UNTIL_CURSOR) if changed else None
        if until is None or until <= now:
            return  # the next tick plans from its own start
        previous = {job: schedule for job in changed if (schedule := before.schedule(job)) is not None}
        planned = await self._activations.find_planned_until(previous, until, until - PLANNING_HORIZON)
        since = await self._activations.record_changes(changed, now)
        new = {job: schedule for job, schedule in changed.items() if schedule is not None}
        heap = DueHeap(new.items(), now, since)
        paused = await self._pauses.list_active(now, fresh=True)
        made = plan_due(jobs, heap, now, until - now, still_on_time=ON_TIME_TOLERANCE, pauses=paused)
        tickets = [ticket for ticket in made.on_time if not _was_planned(ticket, previous, planned)]
        if tickets:
            await self._dispatch.send(tickets)
        await self._activations.record_planned(new, until)
        _log.debug("planned %d tickets of changed jobs until %s", len(tickets), until.isoformat())


def _was_planned(ticket: Ticket, previous: Mapping[str, Schedule], planned: Mapping[str, datetime]) -> bool:
    """Return whether the job's previous schedule had this instant, and was planned until there.

    Then the ticket is on the queue. Tickets of schedules before the previous one are sent again: one of them may have
    been skipped or dropped meanwhile, and a ticket on the queue twice has one id, which is claimed once.
    """
    if ticket.job not in planned or ticket.due_at > planned[ticket.job]:
        return False
    at = to_milliseconds(ticket.due_at)
    return previous[ticket.job].next_after_ms(at - 1) == at
