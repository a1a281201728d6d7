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
from scheduler.audit import ChangeSource, log_change
from scheduler.catalog.catalog import Catalog, CatalogJob
from scheduler.dispatch.port import Dispatch
from scheduler.errors import Conflict, InvalidArgument
from scheduler.stores.runs.repository import Runs, RunState
from scheduler.stores.schedule_activations import ScheduleActivations

MAX_BACKFILL_RUNS = 1000
"""Runs of one call."""
MAX_DUE_INSTANTS = 10_000
"""Due instants that one call looks at."""

_MOMENT = timedelta(microseconds=1)
_YIELD_EVERY = 200
"""Instants worked out, and runs stored, before the loop gets its turn."""
_MAX_MESSAGE_S = 300.0
"""Seconds that the runs of one queue message may take one after the other: well below what the platform allows."""
_TYPICAL_RUN_S = 2.0
"""Seconds that a run takes, more or less: a queue gives the next message when the one before should be done."""

_NOT_RUN_STATES = (None, RunState.QUEUED)
"""No run, or one that waits, perhaps because it was never handed over."""


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """`tickets`: what is queued (or would be), oldest first; `ran`: due instants that ran already, or are running.

    `skipped`: due instants that were skipped, and have not run since; their tickets are among the others unless they
    were to be left.
    """

    tickets: tuple[Ticket, ...]
    already_run: int
    skipped: int = 0


class Backfiller:
    def __init__(
        self, catalog: Catalog, runs: Runs, marks: ScheduleActivations, dispatch: Dispatch, clock: Clock
    ) -> None:
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
        source: ChangeSource,
    ) -> BackfillResult:
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
        entry = self._catalog.get_job(name)
        schedule = entry.job.schedule
        if schedule is None:
            raise Conflict(f"job {name} has no schedule, so it was never due")
        end = self._clock.now() if until is None else until
        self._check_arguments(since, end, limit)
        due = await _due_instants(schedule, since, end)
        if not before_first_version:
            await self._check_first_version(name, due)
        found = _select_tickets(entry, due, await self._runs.list_states_between(name, since, end), leave_skipped)
        tickets = found.tickets
        if len(tickets) > limit:
            raise InvalidArgument(
                "limit",
                f"{len(tickets)} runs are to be made, more than {limit}: shorten the interval"
                + (f", or raise the limit ({MAX_BACKFILL_RUNS} at most)" if limit < MAX_BACKFILL_RUNS else ""),
            )
        if not dry_run and tickets:
            await self._queue(entry.job, tickets)
            log_change(f"{len(tickets)} runs of job {name} from {tickets[0].id} on were queued", source)
        return found

    def _check_arguments(self, since: datetime, until: datetime, limit: int) -> None:
        if not 1 <= limit <= MAX_BACKFILL_RUNS:
            raise InvalidArgument("limit", f"{limit} is not between 1 and {MAX_BACKFILL_RUNS}")
        if since.year < 1970:
            raise InvalidArgument("from", f"{since:%Y-%m-%d} lies before 1970")
        for field, instant in (("from", since), ("to", until)):
            if instant > self._clock.now():
                raise InvalidArgument(field, f"{instant:%Y-%m-%d %H:%M:%S}Z lies in the future")
        if until < since:
            raise InvalidArgument("from", f"{since:%Y-%m-%d %H:%M:%S}Z lies after the end of the interval")

    async def _check_first_version(self, name: str, due: Sequence[datetime]) -> None:
        """Raises Unusable: the job did not exist at some of these instants."""
        if not due:
            return
        first = await self._marks.find_first(name)
        # A schedule that comes into force is due strictly after that.
        number = len(due) if first is None else bisect_right(due, first)
        if not number:
            return
        known = "which no host has had in force yet" if first is None else f"in force since {_instant_text(first)}"
        later = "" if first is None else f"begin after {_instant_text(first)}, or "
        raise InvalidArgument(
            "from",
            f"{number} of {len(due)} due instants, the first at {_instant_text(due[0])}, lie before the first version of job "
            f"{name}, {known}: {later}set before_first_version (--before-first-version) to run them as well",
        )

    async def _queue(self, job: JobDefinition, tickets: Sequence[Ticket]) -> None:
        """Store all of them before any is handed over, so that a crash loses none that a worker does not have yet."""
        for start in range(0, len(tickets), _YIELD_EVERY):
            await asyncio.gather(*map(self._runs.enqueue, tickets[start : start + _YIELD_EVERY]))
        together = max(1, min(50, int(_MAX_MESSAGE_S // job.timeout.run)))
        now = self._clock.now()
        for start in range(0, len(tickets), together):
            later = now + timedelta(seconds=start * _TYPICAL_RUN_S)
            await self._dispatch.send(tickets[start : start + together], not_before=later if start else None)


def _instant_text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}Z"


async def _due_instants(schedule: Schedule, since: datetime, until: datetime) -> list[datetime]:
    """Raises Unusable: there are too many to look at."""
    found: list[datetime] = []
    at = schedule.next_after(since - _MOMENT)
    while at is not None and at <= until:
        found.append(at)
        if len(found) > MAX_DUE_INSTANTS:
            raise InvalidArgument(
                "from", f"more than {MAX_DUE_INSTANTS} instants fell due in that time: shorten the interval"
            )
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
            # Always the same id, so that asking again while this one runs makes no third run.
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
