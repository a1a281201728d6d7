"""Queues runs for due instants of a past range that never ran or were skipped.

Used by the API and the commands.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobs.definition import JobDefinition
from jobs.formats.counts import format_count
from jobs.formats.instants import format_instant
from jobs.ports import Clock
from jobs.runs import Outcome, Ticket, Trigger
from jobs.schedules import Schedule
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog, CatalogJob
from scheduler.dispatch.port import Dispatch
from scheduler.errors import Conflict, InvalidArgument
from scheduler.identity.principal import Caller
from scheduler.stores.runs.repository import Runs, RunState
from scheduler.stores.schedule_activations import ScheduleActivations

MAX_BACKFILL_RUNS = 1000
"""Runs that one call queues."""
MAX_DUE_INSTANTS = 10_000
"""Due instants that one call checks."""

_MOMENT = timedelta(microseconds=1)
_YIELD_EVERY = 200
"""Instants computed, and runs stored, between two yields to the event loop."""
_MAX_MESSAGE_S = 300.0
"""Seconds that the consecutive runs of one queue message can take: well below the platform's limit."""
_TYPICAL_RUN_S = 2.0
"""Typical seconds of a run. Each message becomes visible when the one before it should be done."""

_NOT_RUN_STATES = (None, RunState.QUEUED)
"""No run, or one that is queued, perhaps because it was never dispatched."""


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """`tickets`: runs that are queued (in a dry run: would be), oldest first.

    `already_run`: due instants with a run that finished or is running. `skipped`: due instants whose run was skipped;
    `tickets` contains them too unless `leave_skipped` was set.
    """

    tickets: tuple[Ticket, ...]
    already_run: int
    skipped: int = 0


class Backfiller:
    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        marks: ScheduleActivations,
        dispatch: Dispatch,
        clock: Clock,
        audit: AuditTrail,
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self._marks = marks
        self._dispatch = dispatch
        self._clock = clock
        self._audit = audit

    async def backfill(
        self,
        name: str,
        since: datetime,
        until: datetime | None = None,
        *,
        limit: int,
        leave_skipped: bool = False,
        before_first_version: bool = False,
        dry_run: bool = False,
        caller: Caller,
    ) -> BackfillResult:
        """Queue a run for each due instant in [since, until] that has not run; `until` defaults to now.

        The runs check the target now, so they have the trigger `backfill` and do not count in uptime.
        `before_first_version`: include instants before the job existed, which are otherwise rejected.

        A run has the id that the schedule would have given it, so none runs twice; a run that is already queued is
        dispatched again. A skipped instant gets a second run whose correlation id is the id of the skipped one, unless
        `leave_skipped` is set. The runs execute one after the other with the current definition.

        Raises:
            UnknownJob: no job has that name.
            Conflict: the job has no schedule.
            InvalidArgument: the range or the limit is invalid, more than `limit` runs are needed, or an instant lies
                before the job's first version.
            StoreError, DispatchError: some runs may be queued; retry, none runs twice.
        """
        entry = self._catalog.get_job(name)
        schedule = entry.job.schedule
        if schedule is None:
            raise Conflict(f"job {name} has no schedule, so it has no due instants")
        end = self._clock.now() if until is None else until
        self._check_arguments(since, end, limit)
        due = await _due_instants(schedule, since, end)
        if not before_first_version:
            await self._check_first_version(name, due)
        found = _select_tickets(entry, due, await self._runs.list_states_between(name, since, end), leave_skipped)
        _check_count(len(found.tickets), limit)
        if not dry_run and found.tickets:
            async with audited(self._audit, caller, _backfill_change(name, found.tickets)):
                await self._queue(entry.job, found.tickets)
        return found

    def _check_arguments(self, since: datetime, until: datetime, limit: int) -> None:
        if not 1 <= limit <= MAX_BACKFILL_RUNS:
            raise InvalidArgument("limit", f"{limit} is not between 1 and {MAX_BACKFILL_RUNS}")
        if since.year < 1970:
            raise InvalidArgument("from", f"{since:%Y-%m-%d} is before 1970")
        for field, instant in (("from", since), ("to", until)):
            if instant > self._clock.now():
                raise InvalidArgument(field, f"{format_instant(instant)} is in the future")
        if until < since:
            raise InvalidArgument("from", f"{format_instant(since)} is after the end of the range")

    async def _check_first_version(self, name: str, due: Sequence[datetime]) -> None:
        """Raise InvalidArgument if the job did not exist at one of these instants."""
        if not due:
            return
        first = await self._marks.find_first(name)
        # A schedule is due strictly after the instant at which it comes into force.
        number = len(due) if first is None else bisect_right(due, first)
        if not number:
            return
        known = "which no host has loaded yet" if first is None else f"in force since {format_instant(first)}"
        later = "" if first is None else f"start after {format_instant(first)}, or "
        raise InvalidArgument(
            "from",
            f"{number} of {len(due)} due instants, the first at {format_instant(due[0])}, are "
            "before the first version of job "
            f"{name}, {known}: {later}set before_first_version (--before-first-version) to run them too",
        )

    async def _queue(self, job: JobDefinition, tickets: Sequence[Ticket]) -> None:
        """Store all tickets before dispatching any, so that a crash loses none."""
        for start in range(0, len(tickets), _YIELD_EVERY):
            await asyncio.gather(*map(self._runs.enqueue, tickets[start : start + _YIELD_EVERY]))
        together = max(1, min(50, int(_MAX_MESSAGE_S // job.timeout.run)))
        now = self._clock.now()
        for start in range(0, len(tickets), together):
            later = now + timedelta(seconds=start * _TYPICAL_RUN_S)
            await self._dispatch.send(tickets[start : start + together], not_before=later if start else None)


def _backfill_change(job: str, tickets: Sequence[Ticket]) -> AuditedChange:
    runs = format_count(len(tickets), "run")
    return AuditedChange(
        "job.backfill",
        job,
        f"{runs} of job {job} from {tickets[0].id} on {'was' if len(tickets) == 1 else 'were'} queued",
        (job,),
        after={"runs": [ticket.id for ticket in tickets]},
    )


def _check_count(count: int, limit: int) -> None:
    if count > limit:
        raise InvalidArgument(
            "limit",
            f"the range needs {count} runs, more than the limit of {limit}: shorten the range"
            + (f", or raise the limit (at most {MAX_BACKFILL_RUNS})" if limit < MAX_BACKFILL_RUNS else ""),
        )


async def _due_instants(schedule: Schedule, since: datetime, until: datetime) -> list[datetime]:
    """Return the due instants. Raises InvalidArgument if there are more than MAX_DUE_INSTANTS."""
    found: list[datetime] = []
    at = schedule.next_after(since - _MOMENT)
    while at is not None and at <= until:
        found.append(at)
        if len(found) > MAX_DUE_INSTANTS:
            raise InvalidArgument("from", f"the range has more than {MAX_DUE_INSTANTS} due instants: shorten it")
        if len(found) % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
        at = schedule.next_after(at)
    return found


def _select_tickets(
    entry: CatalogJob, due: Sequence[datetime], states: Mapping[str, str], leave_skipped: bool
) -> BackfillResult:
    tickets: list[Ticket] = []
    ran = skipped = 0
    for at in due:
        ticket = scheduled = _backfill_ticket(entry, at)
        again = 0
        while states.get(ticket.id) == Outcome.SKIPPED:
            # The same id each time, so that a second call while this run executes creates no third run.
            again += 1
            ticket = replace(scheduled, id=f"{scheduled.id}.again{again}")
        if states.get(ticket.id) not in _NOT_RUN_STATES:
            ran += 1
            continue
        skipped += bool(again)
        if not (again and leave_skipped):
            tickets.append(ticket)
    return BackfillResult(tuple(tickets), ran, skipped)


def _backfill_ticket(entry: CatalogJob, at: datetime) -> Ticket:
    return replace(Ticket.scheduled(entry.job.name, at, entry.generation), trigger=Trigger.BACKFILL)
