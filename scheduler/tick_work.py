"""What the Functions host's timer does: plan ahead, send what may have been lost, tidy up. Called by
scheduler.functions_host.

Every method may be repeated: a ticket's id is its job and instant, and claims keep it from running twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from jobs.ports import Clock
from scheduler.catalog import Catalog
from scheduler.dispatch.port import Dispatch
from scheduler.planning.heap import DueHeap
from scheduler.planning.ticks import Tick, tick_of
from scheduler.stores.cursors import PLANNED_UNTIL, Cursors
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.pauses import Pauses
from scheduler.stores.runs import Runs, RunState
from scheduler.stores.schedule_marks import ScheduleMarks
from scheduler.worker import Worker

_log = logging.getLogger("scheduler.tick_work")

HORIZON = timedelta(seconds=75)
"""How far a tick plans ahead: a little longer than the minute between two ticks."""
STILL_PLANNED = timedelta(seconds=60)
"""What a tick that comes late still plans; what fell due before is missed: see scheduler.planning.catch_up."""
STRANDED_AFTER = timedelta(minutes=2)
"""A run that people asked for and that is still queued after this time may have no message."""
STRANDED_UNTIL = "stranded-until"
"""The name of the cursor of those that were looked at."""
PRUNE_EVERY = timedelta(hours=1)
PRUNED_AT = "pruned-at"
PRUNE_PATIENCE = 20.0
"""Seconds that one tick spends on old runs: the next one must not wait for it."""


class TickWork:
    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        worker: Worker,
        dispatch: Dispatch,
        cursors: Cursors,
        marks: ScheduleMarks,
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
        self._marks = marks
        self._pauses = pauses
        self._dead_letters = dead_letters
        self._clock = clock
        self._in_force_since: Mapping[str, datetime] | None = None

    async def plan_ahead(self) -> int:
        """Put on the queue what falls due until the horizon. Returns the number of tickets.

        The cursor moves after the tickets are sent: a crash in between plans them again, and their ids are the same.

        Raises:
            StoreError, DispatchError: the next tick does what this one did not.
        """
        now = self._clock.now()
        until = now + HORIZON
        tick = await self._tick(now, until)
        tickets = [*tick.on_time, *(ticket for late in tick.late for ticket in late)]
        if tickets:
            await self._dispatch.send(tickets)
        for left_out in tick.left_out:
            await self._worker.leave_out(left_out)
        await self._cursors.advance(PLANNED_UNTIL, until)
        _log.debug("planned %d tickets until %s", len(tickets), until.isoformat())
        return len(tickets)

    async def _tick(self, now: datetime, until: datetime) -> Tick:
        """What falls due until `until`, from where the last tick ended."""
        if self._in_force_since is None:
            # Once a process: definitions come with a deployment.
            self._in_force_since = await self._marks.note(self._catalog.schedules(), now)
        planned = await self._cursors.get(PLANNED_UNTIL)
        not_before = now - STILL_PLANNED
        # No tick has come to its end yet: what fell due since the first one began counts as missed.
        planned = planned or min(self._in_force_since.values(), default=now)
        heap = DueHeap(self._catalog.schedules(), planned, self._in_force_since)
        return tick_of(
            self._catalog,
            heap.pop_until(until, not_before=not_before),
            not_before=not_before,
            now=now,
            paused=await self._pauses.active(now, fresh=True),
        )

    async def planned_until(self) -> datetime | None:
        """The end of the last tick's horizon; None before the first one. Raises StoreError."""
        return await self._cursors.get(PLANNED_UNTIL)

    async def send_stranded(self) -> int:
        """Send runs that were stored as queued and perhaps never sent: the queue was away, or the process died.

        Each is sent again once, so a queue that is only long does not grow by it. Returns the number of tickets.

        Raises:
            StoreError, DispatchError: the next tick does it.
        """
        until = self._clock.now() - STRANDED_AFTER
        since = await self._cursors.get(STRANDED_UNTIL)
        queued = (record.ticket for record in await self._runs.unfinished() if record.state is RunState.QUEUED)
        stranded = [ticket for ticket in queued if (since is None or since < ticket.due_at) and ticket.due_at <= until]
        if stranded:
            await self._dispatch.send(stranded)
            _log.warning("%d runs were still queued after %s: sent again", len(stranded), STRANDED_AFTER)
        await self._cursors.advance(STRANDED_UNTIL, until)
        return len(stranded)

    async def prune(self, age_s: float, runs_per_job: int) -> None:
        """Delete old runs and dead letters, each hour. Raises StoreError."""
        now = self._clock.now()
        last = await self._cursors.get(PRUNED_AT)
        if last is not None and now - last < PRUNE_EVERY:
            return
        try:
            async with asyncio.timeout(PRUNE_PATIENCE):
                removed = await self._runs.prune(now, age_s, runs_per_job)
                removed += await self._dead_letters.prune(now, age_s)
        except TimeoutError:
            _log.info("there are more old runs than %g s remove: the next tick goes on", PRUNE_PATIENCE)
            return
        if removed:
            _log.info("removed %d old runs and dead letters", removed)
        await self._cursors.advance(PRUNED_AT, now)
