"""Plans jobs that a request has changed at once: the instants until the end of the last tick's horizon.

Without it, a new job would be due for the first time after the next tick. Connected by
scheduler.hosts.functions.program.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from jobs.ports import Clock
from jobs.runs import Ticket
from jobs.schedules import Schedule, to_milliseconds
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.dispatch.port import Dispatch
from scheduler.hosts.functions.timer import ON_TIME_TOLERANCE, PLANNING_HORIZON
from scheduler.planning.due_heap import DueHeap
from scheduler.planning.plan import plan_due
from scheduler.stores.gates import Pauses
from scheduler.stores.schedules import PLANNED_UNTIL_CURSOR, Cursors, ScheduleActivations

_log = logging.getLogger("scheduler.hosts.functions.changed_jobs")


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
