"""Pauses and resumes a job, runs due instants of the past that have not run, and runs the check of a definition that is
not saved.

Such a test run is stored only on request, never published, and no circuit counts it. Its scope is manage: a definition
decides to which host a secret is sent.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jobs.checks.binding.rules import UNRESTRICTED, Bindings
from jobs.definition import JobDefinition
from jobs.formats import format_count, format_instant, format_iso_instant
from jobs.model_base import find_secret_names
from jobs.ports import Clock
from jobs.runs import Outcome, Ticket, Trigger
from jobs.runs.states import Cause, JobStatus, enter_state
from jobs.schedules import Schedule
from jobs.targets import HeartbeatTarget
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog, CatalogJob, Operation
from scheduler.changes.tracking import StateTracker
from scheduler.dispatch.port import Dispatch
from scheduler.errors import Conflict, InvalidArgument
from scheduler.identity.principal import Caller, describe_invisible_job
from scheduler.operations import check_end, check_reason
from scheduler.stores.gates import Pause, Pauses
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import RunRecord, Runs, RunState
from scheduler.stores.schedules import ScheduleActivations

if TYPE_CHECKING:
    from jobs.running.runner import Runner

_log = logging.getLogger("scheduler.pauses")


class JobPauser(Operation):
    """Pauses and resumes single jobs, and records the state that they enter by it."""

    def __init__(self, catalog: Catalog, pauses: Pauses, clock: Clock, audit: AuditTrail, states: StateTracker) -> None:
        self._catalog = catalog
        self._pauses = pauses
        self._clock = clock
        self._audit = audit
        self._states = states

    async def pause(self, name: str, *, until: datetime | None = None, reason: str = "", caller: Caller) -> bool:
        """Pause a job until an instant or a resume. A job that is already paused gets the new end and reason.

        Return False if it was paused with the same end and reason.

        Raises:
            UnknownJob: no job has that name.
            InvalidArgument: `until` is in the past, or the reason is too long.
            StoreError: nothing was changed.
        """
        self._catalog.get_job(name)
        check_reason(reason)
        now = self._clock.now()
        check_end(until, now)
        before = await self._pauses.find_active(name, now)
        if before is not None and (before.until, before.reason) == (until, reason):
            return False
        pause = Pause(name, now if before is None else before.since, until, reason)
        change = AuditedChange(
            "job.pause", name, f"job {name} was {pause}", (name,), _pause_fields(before), _pause_fields(pause)
        )
        async with audited(self._audit, caller, change):
            await self._pauses.set_pause(pause)
        await self._record_state(name, JobStatus.PAUSED, now, Cause("job_paused", reason))
        return True

    async def resume(self, name: str, *, caller: Caller) -> bool:
        """End the pause. Return False if the job was not paused.

        Raises:
            UnknownJob: no job has that name.
            StoreError: nothing was changed.
        """
        self._catalog.get_job(name)
        now = self._clock.now()
        before = await self._pauses.find_active(name, now)
        if before is None:
            return False
        change = AuditedChange("job.resume", name, f"job {name} was resumed", (name,), _pause_fields(before))
        async with audited(self._audit, caller, change):
            await self._pauses.resume(name, now)
        await self._record_state(name, JobStatus.UNKNOWN, now, Cause("job_resumed", "the job was resumed"))
        return True

    async def _record_state(self, name: str, state: JobStatus, at: datetime, cause: Cause) -> None:
        """Record the new state, unless the job is disabled. The pause is in force already, so a failure is logged."""
        if not self._catalog.get_job(name).job.enabled:
            return
        try:
            await self._states.record(name, lambda current: enter_state(current, name, state, at, cause))
        except StoreError as error:
            _log.warning("could not record the state of job %s: %s; the scheduler records it later", name, error)


def _pause_fields(pause: Pause | None) -> dict[str, str | None] | None:
    if pause is None:
        return None
    until = None if pause.until is None else format_iso_instant(pause.until)
    return {"since": format_iso_instant(pause.since), "until": until, "reason": pause.reason}


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


class Backfiller(Operation):
    """Queues runs for due instants of the past that have not run."""

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
        selected = _select_tickets(entry, due, await self._runs.list_states_between(name, since, end), leave_skipped)
        _check_count(len(selected.tickets), limit)
        if not dry_run and selected.tickets:
            async with audited(self._audit, caller, _backfill_change(name, selected.tickets)):
                await self._queue(entry.job, selected.tickets)
        return selected

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
        first_version = "which no host has loaded yet" if first is None else f"in force since {format_instant(first)}"
        later = "" if first is None else f"start after {format_instant(first)}, or "
        raise InvalidArgument(
            "from",
            f"{number} of {len(due)} due instants, the first at {format_instant(due[0])}, are "
            "before the first version of job "
            f"{name}, {first_version}: {later}set before_first_version (--before-first-version) to run them too",
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
    instants: list[datetime] = []
    at = schedule.next_after(since - _MOMENT)
    while at is not None and at <= until:
        instants.append(at)
        if len(instants) > MAX_DUE_INSTANTS:
            raise InvalidArgument("from", f"the range has more than {MAX_DUE_INSTANTS} due instants: shorten it")
        if len(instants) % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
        at = schedule.next_after(at)
    return instants


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


MAX_TEST_SECONDS = 60.0
"""Seconds of a run, whatever its timeout is. The front end of Azure Functions cancels a request after 230."""
_MAX_CONCURRENT = 4
"""Test runs at a time; others wait."""


class DefinitionTester(Operation):
    """Runs the check of a definition that is not saved."""

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        audit: AuditTrail,
        catalog: Catalog,
        runs: Runs,
        bindings: Bindings = UNRESTRICTED,
    ) -> None:
        """`runner`: one that publishes nothing."""
        self._runner = runner
        self._catalog = catalog
        self._runs = runs
        self._clock = clock
        self._audit = audit
        self._bindings = bindings
        self._places = asyncio.Semaphore(_MAX_CONCURRENT)

    async def run_once(self, job: JobDefinition, *, caller: Caller, store: bool = False) -> RunRecord:
        """Run the check of a definition to its end. `store`: as a run on demand of the saved job of that name.

        Raises:
            InvalidArgument: the check waits for pings, or the job or a secret does not exist for the caller.
            UnknownJob: the run is to be stored, and there is no saved job of that name.
            StoreError: the test run could not be recorded in the audit trail and did not start, or it could not be
                stored.
        """
        if store:
            self._catalog.get_job(job.name)
        if isinstance(job.check, HeartbeatTarget):
            raise InvalidArgument("check", "a heartbeat contacts no target: it judges the pings of a saved job")
        if not caller.principal.sees(job.tags):
            raise InvalidArgument("tags", describe_invisible_job(caller.principal.tags))
        for name in sorted(find_secret_names(job.check)) if caller.principal.tags else ():
            if not self._bindings.admits_tags(name, caller.principal.own_tags(job.tags)):
                raise InvalidArgument("check", f"the secret {name} is not for this job")
        ticket = Ticket.requested(job.name, self._clock.now(), job.generation())
        change = AuditedChange(
            "definition.test",
            job.name,
            f"an unsaved definition of {job.name} was run once",
            (job.name,),
            after={"check": job.check.endpoint, "stored": store},
        )
        timeout = job.timeout.model_copy(update={"run": min(job.timeout.run, MAX_TEST_SECONDS)})
        async with self._places, audited(self._audit, caller, change):
            run = await self._runner.run(job.model_copy(update={"circuit": None, "timeout": timeout}), ticket)
            if store:
                await self._runs.insert_finished(ticket, run)
        return RunRecord(ticket, RunState.FINISHED, "", None, run, "")
