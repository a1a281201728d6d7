"""Running what fell due in a past interval and never ran, be it because nothing was there to run it or because it was
skipped. Called by the API and the CLI."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobs.definition import JobDefinition
from jobs.ports import Clock
from jobs.runs import Outcome, Ticket, Trigger
from jobs.schedules import Schedule
from scheduler.catalog import Catalog, Entry
from scheduler.dispatch.port import Dispatch
from scheduler.operations.audit import Way, audit
from scheduler.operations.errors import Conflict, Unusable
from scheduler.stores.runs import Runs, RunState
from scheduler.stores.schedule_marks import ScheduleMarks

MOST = 1000
"""Runs of one call."""
MOST_DUE = 10_000
"""Due instants that one call looks at."""

_MOMENT = timedelta(microseconds=1)
_BREATH = 200
"""Instants worked out, and runs stored, before the loop gets its turn."""
_MESSAGE_S = 300.0
"""Seconds that the runs of one queue message may take one after the other: well below what the platform allows."""
_USUAL_S = 2.0
"""Seconds that a run takes, more or less: a queue gives the next message when the one before should be done."""

_TO_BE_RUN = (None, RunState.QUEUED)
"""No run, or one that waits, perhaps because it was never handed over."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """`tickets`: what is queued (or would be), oldest first; `ran`: due instants that ran already, or are running.

    `skipped`: due instants that were skipped, and have not run since; their tickets are among the others unless they
    were to be left.
    """

    tickets: tuple[Ticket, ...]
    ran: int
    skipped: int = 0


class Backfilling:
    def __init__(self, catalog: Catalog, runs: Runs, marks: ScheduleMarks, dispatch: Dispatch, clock: Clock) -> None:
        self._catalog = catalog
        self._runs = runs
        self._marks = marks
        self._dispatch = dispatch
        self._clock = clock

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
        way: Way,
    ) -> Backfill:
        """Queue a run for each due instant in [since, until] that has not run, `until` now if it is not given.

        The target is asked now, so the runs have the trigger `backfill`, and say nothing of its availability then.
        `before_first_version`: also instants at which no host knew the job yet, which are refused otherwise.

        They have the ids that the schedule would have given them, so none runs twice; what is queued already is handed
        over again. An instant that was skipped keeps that run in history, and gets another one beside it, whose
        correlation id is that of the skipped one; with `leave_skipped` it is left as it is. They run one after the
        other, by the definition in force now.

        Raises:
            UnknownJob: no job has that name.
            Conflict: the job has no schedule.
            Unusable: the interval or the limit cannot be used, there are more than `limit` such instants, or some lie
                before the job's first version.
            StoreError, DispatchError: some may be queued; ask again, none runs twice.
        """
        entry = self._catalog.get(name)
        schedule = entry.job.schedule
        if schedule is None:
            raise Conflict(f"job {name} has no schedule, so it was never due")
        end = self._clock.now() if until is None else until
        self._check(since, end, limit)
        due = await _due(schedule, since, end)
        if not before_first_version:
            await self._check_first_version(name, due)
        found = _sorted(entry, due, await self._runs.states_between(name, since, end), leave_skipped)
        tickets = found.tickets
        if len(tickets) > limit:
            raise Unusable(
                "limit",
                f"{len(tickets)} runs are to be made, more than {limit}: shorten the interval"
                + (f", or raise the limit ({MOST} at most)" if limit < MOST else ""),
            )
        if not dry_run and tickets:
            await self._queue(entry.job, tickets)
            audit(f"{len(tickets)} runs of job {name} from {tickets[0].id} on were queued", way)
        return found

    def _check(self, since: datetime, until: datetime, limit: int) -> None:
        if not 1 <= limit <= MOST:
            raise Unusable("limit", f"{limit} is not between 1 and {MOST}")
        if since.year < 1970:
            raise Unusable("from", f"{since:%Y-%m-%d} lies before 1970")
        for field, instant in (("from", since), ("to", until)):
            if instant > self._clock.now():
                raise Unusable(field, f"{instant:%Y-%m-%d %H:%M:%S}Z lies in the future")
        if until < since:
            raise Unusable("from", f"{since:%Y-%m-%d %H:%M:%S}Z lies after the end of the interval")

    async def _check_first_version(self, name: str, due: Sequence[datetime]) -> None:
        """Raises Unusable: the job did not exist at some of these instants."""
        if not due:
            return
        first = await self._marks.first(name)
        # A schedule that comes into force is due strictly after that.
        number = len(due) if first is None else bisect_right(due, first)
        if not number:
            return
        known = "which no host has had in force yet" if first is None else f"in force since {_at(first)}"
        later = "" if first is None else f"begin after {_at(first)}, or "
        raise Unusable(
            "from",
            f"{number} of {len(due)} due instants, the first at {_at(due[0])}, lie before the first version of job "
            f"{name}, {known}: {later}set before_first_version (--before-first-version) to run them as well",
        )

    async def _queue(self, job: JobDefinition, tickets: Sequence[Ticket]) -> None:
        """Store all of them before any is handed over, so that a crash loses none that a worker does not have yet."""
        for start in range(0, len(tickets), _BREATH):
            await asyncio.gather(*map(self._runs.enqueue, tickets[start : start + _BREATH]))
        together = max(1, min(50, int(_MESSAGE_S // job.timeout.run)))
        now = self._clock.now()
        for start in range(0, len(tickets), together):
            later = now + timedelta(seconds=start * _USUAL_S)
            await self._dispatch.send(tickets[start : start + together], not_before=later if start else None)


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}Z"


async def _due(schedule: Schedule, since: datetime, until: datetime) -> list[datetime]:
    """Raises Unusable: there are too many to look at."""
    found: list[datetime] = []
    at = schedule.next_after(since - _MOMENT)
    while at is not None and at <= until:
        found.append(at)
        if len(found) > MOST_DUE:
            raise Unusable("from", f"more than {MOST_DUE} instants fell due in that time: shorten the interval")
        if len(found) % _BREATH == 0:
            await asyncio.sleep(0)
        at = schedule.next_after(at)
    return found


def _sorted(entry: Entry, due: Sequence[datetime], states: Mapping[str, str], leave_skipped: bool) -> Backfill:
    tickets: list[Ticket] = []
    ran = skipped = 0
    for at in due:
        ticket = scheduled = _ticket(entry, at)
        again = 0
        while states.get(ticket.id) == Outcome.SKIPPED:
            # Always the same id, so that asking again while this one runs makes no third run.
            again += 1
            ticket = replace(scheduled, id=f"{scheduled.id}.again{again}")
        if states.get(ticket.id) not in _TO_BE_RUN:
            ran += 1
            continue
        skipped += bool(again)
        if not (again and leave_skipped):
            tickets.append(ticket)
    return Backfill(tuple(tickets), ran, skipped)


def _ticket(entry: Entry, at: datetime) -> Ticket:
    return replace(Ticket.scheduled(entry.job.name, at, entry.generation), trigger=Trigger.BACKFILL)
