"""Compares every scheduled job with its due instants, by the runs of this process and the last errors of the store.

`TrackedRuns` is the Runs of the whole program, so it tracks every claim; the worker reports the tickets. The store is
read only for jobs without such runs: in the Functions host, the jobs that other instances run. A round reads a limited
number of them in turn.

Health reports failed claims and results in addition to a ping of the store. A ping writes one row. In a damaged file
that row may be intact while others are not, so the store counts as down while claims or results fail.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from jobs.ports import Clock
from jobs.runs import Run, Ticket, Trigger
from jobs.schedules import Schedule
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.dispatch.port import QueueDepth
from scheduler.stores.gates import Pauses
from scheduler.stores.port import Store, StoreDamaged, StoreError, StoreUnavailable
from scheduler.stores.runs.repository import AlreadyClaimed, Claim, RowNames, RunRecord, RunResult, Runs, RunState
from scheduler.watchdog.report import JobsReport, LateJob
from scheduler.watchdog.rules import judge_job

FAILURE_REMEMBERED_S = 10.0
"""Seconds for which a failed claim or result counts."""


class StoreFailures:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._error: StoreUnavailable | None = None
        self._at = float("-inf")

    def record(self, answers: Iterable[object]) -> None:
        """Record the store's answers to claims or results."""
        succeeded = False
        for answer in answers:
            if isinstance(answer, StoreUnavailable):
                self._error, self._at = answer, self._monotonic()
                return
            succeeded = True
        # A full disk or a lock affects the whole file, and ends with the next success; damage does not.
        if succeeded and not isinstance(self._error, StoreDamaged):
            self._error = None

    @property
    def recent_error(self) -> StoreUnavailable | None:
        """The error of a claim or result within the last seconds; None if they succeed."""
        return self._error if self._monotonic() - self._at < FAILURE_REMEMBERED_S else None


class RunActivity:
    """Implements QueueDepthReader for the embedded host: tickets that are submitted and wait to start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._newest: dict[str, datetime] = {}
        self._submitted: dict[str, datetime] = {}

    def newest_due(self, job: str) -> datetime | None:
        """Return the newest instant of the job's schedule that has a run; None if unknown."""
        return self._newest.get(job)

    def mark_run(self, job: str, due_at: datetime) -> None:
        """Record that this instant has a run, started or recorded by any process."""
        known = self._newest.get(job)
        if known is None or known < due_at:
            self._newest[job] = due_at

    def mark_stored(self, ticket: Ticket) -> None:
        """Record that the ticket's run is stored."""
        if ticket.trigger is Trigger.SCHEDULE:
            self.mark_run(ticket.job, ticket.due_at)

    def mark_submitted(self, ticket: Ticket) -> None:
        """Record a ticket that waits from now on, or from its instant."""
        self._submitted[ticket.id] = max(self._clock.now(), ticket.due_at)

    def mark_started(self, ticket: Ticket) -> None:
        """Record that a ticket does not wait any more."""
        self._submitted.pop(ticket.id, None)

    async def read_depth(self) -> QueueDepth:
        now = self._clock.now()
        waiting = [(now - since).total_seconds() for since in self._submitted.values() if since <= now]
        return QueueDepth(len(waiting), max(waiting, default=None))


class TrackedRuns(Runs):
    """Runs that tracks claims, runs recorded without a claim, and the errors of claims and results."""

    def __init__(
        self,
        store: Store,
        activity: RunActivity,
        monotonic: Callable[[], float] = time.monotonic,
        names: RowNames | None = None,
        failures: StoreFailures | None = None,
    ) -> None:
        super().__init__(store, monotonic, names)
        self._activity = activity
        self._failures = failures or StoreFailures(monotonic)

    async def claim(self, ticket: Ticket, owner: str, lease_until: datetime, now: datetime) -> Claim | AlreadyClaimed:
        """Claim the run, and record that it is stored."""
        claim = await super().claim(ticket, owner, lease_until, now)
        self._activity.mark_stored(ticket)
        return claim

    async def claim_all(
        self, requests: Sequence[tuple[Ticket, datetime]], owner: str, now: datetime
    ) -> Sequence[Claim | AlreadyClaimed | StoreError]:
        """Claim each ticket, and record which runs are stored and which claims failed."""
        answers = await super().claim_all(requests, owner, now)
        self._failures.record(answers)
        for (ticket, _), answer in zip(requests, answers, strict=True):
            if not isinstance(answer, StoreError):
                self._activity.mark_stored(ticket)
        return answers

    async def finish_all(self, results: Sequence[RunResult]) -> Sequence[StoreError | None]:
        """Finish each run, and record which of them could not be stored."""
        answers = await super().finish_all(results)
        self._failures.record(answers)
        return answers

    async def insert_finished(self, ticket: Ticket, run: Run) -> RunRecord | None:
        """Store a run that is finished already, and record that it is stored."""
        found = await super().insert_finished(ticket, run)
        self._activity.mark_stored(ticket)
        return found


_MAX_CONCURRENT_READS = 20
"""Jobs whose histories are read concurrently."""
_JOBS_PER_SLICE = 100
"""Jobs that are judged between two turns of the event loop."""
_RUNS_READ_PER_JOB = 10
"""Newest runs of a job that are searched for a scheduled run."""


class JobWatch:
    """Judges instants since it was made: catch-up handles earlier ones."""

    def __init__(self, catalog: Catalog, runs: Runs, pauses: Pauses, activity: RunActivity, clock: Clock) -> None:
        self._catalog = catalog
        self._since_start: JobSnapshot | None = catalog.snapshot
        self._runs = runs
        self._pauses = pauses
        self._activity = activity
        self._clock = clock
        self._began = clock.now()
        self._schedules: dict[str, Schedule] = {}
        self._watched_since: dict[str, datetime] = {}
        """The start of the watch, for jobs that were added or changed since the program started."""
        self._paused: set[str] = set()
        self._read_at: dict[str, float] = {}
        self._last_late: Mapping[str, LateJob] = {}

    async def check_jobs(self, max_reads: int) -> JobsReport:
        """Judge all jobs, and read the histories of at most `max_reads`. Raises StoreError: try again later."""
        now = self._clock.now()
        watched, suspects = await self._suspects(now)
        in_turn = sorted(suspects, key=lambda job: self._read_at.get(job, float("-inf")))
        read = in_turn[:max_reads]
        await self._read_histories(read)
        late = {job: late_job for job in read if (late_job := self._judge(job, now)) is not None}
        # Jobs that wait for their turn retain their last verdict.
        late |= {job: self._last_late[job] for job in in_turn[max_reads:] if job in self._last_late}
        self._last_late = late
        self._read_at = {job: self._read_at[job] for job in suspects if job in self._read_at}
        late_jobs = sorted(late.values(), key=lambda late_job: late_job.since)
        return JobsReport(watched, tuple(late_jobs), len(in_turn) - len(read))

    async def _suspects(self, now: datetime) -> tuple[int, list[str]]:
        """Return the number of watched jobs, and the jobs without a run that this process knows."""
        paused = set(await self._pauses.list_active(now))
        watched = 0
        suspects: list[str] = []
        # Instants in a pause have no run, and the pause may have ended a moment ago.
        for job in paused | self._paused:
            self._restart_watch(job, now)
        self._paused = paused
        jobs = self._catalog.snapshot
        self._forget_unplanned(jobs)
        planned = jobs.schedules()
        while some := list(islice(planned, _JOBS_PER_SLICE)):
            for job, schedule in some:
                if job in paused:
                    continue
                watched += 1
                self._update_schedule(job, schedule, now)
                if self._judge(job, now) is not None:
                    suspects.append(job)
            await asyncio.sleep(0)
        self._since_start = None
        return watched, suspects

    def _forget_unplanned(self, jobs: JobSnapshot) -> None:
        """Remove jobs that are no longer planned; if one is planned again, its watch restarts."""
        for job in [job for job in self._schedules if jobs.schedule(job) is None]:
            del self._schedules[job]
            self._watched_since.pop(job, None)

    def _update_schedule(self, job: str, schedule: Schedule, now: datetime) -> None:
        """Start the watch of a new job or schedule now, unless it exists since the start of the program."""
        current = self._schedules.get(job)
        if current is None:
            from_start = self._since_start is not None and self._since_start.schedule(job) == schedule
            self._schedules[job] = schedule
            if not from_start:
                self._watched_since[job] = now
        elif current is not schedule and current != schedule:
            self._schedules[job], self._watched_since[job] = schedule, now

    def _restart_watch(self, job: str, now: datetime) -> None:
        entry = self._catalog.find_job(job)
        if entry is not None and entry.job.schedule is not None:
            self._schedules[job], self._watched_since[job] = entry.job.schedule, now

    def _judge(self, job: str, now: datetime) -> LateJob | None:
        if job not in self._schedules:
            return None
        schedule, began = self._schedules[job], self._watched_since.get(job, self._began)
        last = self._activity.newest_due(job)
        entry = self._catalog.find_job(job)
        waits = entry.job.longest_wait if entry is not None else 0.0
        since = began if last is None else max(began, last)
        late_job = judge_job(job, schedule, since, now, waits=timedelta(seconds=waits))
        return None if late_job is None else replace(late_job, last=last)

    async def _read_histories(self, jobs: Sequence[str]) -> None:
        for start in range(0, len(jobs), _MAX_CONCURRENT_READS):
            await asyncio.gather(*map(self._read_history, jobs[start : start + _MAX_CONCURRENT_READS]))

    async def _read_history(self, job: str) -> None:
        page = await self._runs.list_page(job=job, limit=_RUNS_READ_PER_JOB)
        started = [record.ticket for record in page.records if record.state is not RunState.QUEUED]
        # Frequent manual runs hide the scheduled runs of a job; the job is not silent then.
        scheduled = [ticket for ticket in started if ticket.trigger is Trigger.SCHEDULE]
        for ticket in (scheduled or started)[:1]:
            self._activity.mark_run(job, ticket.due_at)
        self._read_at[job] = self._clock.monotonic()
