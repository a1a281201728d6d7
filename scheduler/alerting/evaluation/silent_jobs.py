"""Finds the jobs of which a run was due and none has finished, without reading the others.

The jobs with a rule `silent` are in buckets by deadline. A deadline that has passed is computed again from the newest
finished run that is known; so a pass costs as much as deadlines have passed, however many jobs exist.

A run that was due before the process started has the time from the start on: catch-up executes it. The newest run of a
job of which this process has finished none is read when that time is over.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from jobs.alerting.conditions.silent import SilentCondition
from jobs.alerting.facts import SubjectFacts, certificate_of
from jobs.alerting.rule import CompiledRules
from jobs.definition import JobDefinition
from jobs.fast_frozen import fast_frozen
from jobs.runs import Outcome, Run, Trigger
from jobs.schedules import Schedule
from scheduler.alerting.causes import SeenCauses
from scheduler.stores.runs.codec import RunRecord

MAX_CONCURRENT_READS = 16


class LatestRuns(Protocol):
    async def find_latest(self, job: str, *, fresh: bool = False) -> RunRecord | None:
        """Return the job's newest finished run; `fresh`: from the store, whichever process finished it."""
        ...


class DueTimes:
    """The newest due instant of each job that has a finished run, as far as this process knows; which of these runs are
    good, and what they show that jobs share.
    """

    def __init__(self, runs: LatestRuns) -> None:
        self._runs = runs
        self._newest: dict[str, datetime] = {}
        self._not_good: set[str] = set()
        self._seen = SeenCauses()

    def add(self, run: Run) -> None:
        """Record a finished run of this process, whatever its outcome."""
        if run.trigger is not Trigger.BACKFILL and run.trigger is not Trigger.REPLAY:
            known = self._newest.get(run.job)
            if known is None or known < run.due_at:
                self._newest[run.job] = run.due_at
                self._observe(run)

    def is_good_since(self, job: str, since: datetime) -> bool:
        """Return whether the newest run of a job was due at or after an instant, and is good."""
        newest = self._newest.get(job)
        return newest is not None and newest >= since and job not in self._not_good

    def list_seen(self, cause: str) -> Sequence[str]:
        """Return the jobs whose newest runs show an address or a certificate."""
        return self._seen.list_jobs(cause)

    def _observe(self, run: Run) -> None:
        if run.outcome is not Outcome.SUCCEEDED or run.degraded:
            self._not_good.add(run.job)
        elif self._not_good:
            self._not_good.discard(run.job)
        if run.attempts:
            self._seen.add(run.job, run.attempts[-1].address, certificate_of(run))

    def find(self, job: str) -> datetime | None:
        return self._newest.get(job)

    def list_unknown(self, jobs: Iterable[str]) -> list[str]:
        """Return those of these jobs of which this process knows no run."""
        return [job for job in jobs if job not in self._newest]

    async def read(self, jobs: Iterable[str]) -> None:
        """Read the newest runs of jobs, which another process may have executed. Raises StoreError."""
        semaphore = asyncio.Semaphore(MAX_CONCURRENT_READS)

        async def read_one(job: str) -> None:
            async with semaphore:
                record = await self._runs.find_latest(job, fresh=True)
            if record is not None and record.run is not None:
                self.add(record.run)

        await asyncio.gather(*map(read_one, jobs))


_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)

FindDue = Callable[[str], datetime | None]


@fast_frozen(frozen=True, slots=True)
class _WatchedJob:
    """`margin`: from a due instant to its deadline."""

    schedule: Schedule
    margin: timedelta


class SilentJobs:
    """`find_due`: returns the due instant of the newest finished run that is known. `started_at`: of the process."""

    def __init__(self, find_due: FindDue, started_at: datetime) -> None:
        self._find_due = find_due
        self._started_at = started_at
        self._jobs: dict[str, _WatchedJob] = {}
        self._is_first = True
        self._was_read: set[str] = set()
        """Jobs whose newest run was read from the store."""
        self._counts_from: dict[str, datetime] = {}
        """The end of the latest suspension of a job, or the instant from which it is watched."""
        self._buckets: dict[int, list[str]] = {}
        """Jobs by the second since _EPOCH at which their deadline has passed."""
        self._seconds: list[int] = []
        """A heap of the keys of the buckets."""

    def replace_jobs(self, jobs: Iterable[tuple[JobDefinition, CompiledRules]], now: datetime) -> None:
        """Watch these jobs; those whose schedule is new are judged from now on."""
        before, self._jobs = self._jobs, {}
        for job, rules in jobs:
            graces = [rule.when.longest_grace for rule in rules.rules if isinstance(rule.when, SilentCondition)]
            if not graces or job.schedule is None or not job.enabled:
                continue
            known = before.get(job.name)
            if not self._is_first and (known is None or known.schedule != job.schedule):
                self._counts_from[job.name] = now
            self._jobs[job.name] = _WatchedJob(job.schedule, longest_run(job) + min(graces))
        self._is_first = False
        self._was_read &= self._jobs.keys()
        self._counts_from = {name: at for name, at in self._counts_from.items() if name in self._jobs}
        self._buckets, self._seconds = {}, []
        for name in self._jobs:
            deadline = self._find_deadline(name)
            if deadline is not None:
                self._add(deadline, name)

    def restart(self, job: str, now: datetime) -> None:
        """Judge the job from this instant on: it is suspended until then."""
        if job in self._jobs:
            self._counts_from[job] = max(now, self._counts_from.get(job, now))

    def is_overdue(self, job: str, now: datetime) -> bool:
        """Return whether the deadline that is known has passed."""
        deadline = self._find_deadline(job)
        return deadline is not None and deadline <= now

    def record_read(self, jobs: Iterable[str]) -> None:
        """Take notice that the newest runs of jobs were read, whether or not they have one."""
        self._was_read.update(each for each in jobs if each in self._jobs)

    def pop_overdue(self, now: datetime, limit: int) -> list[str]:
        """Return jobs whose known deadline has passed, at most so many; the next call returns the rest.

        Call `push` for each of them afterwards.
        """
        overdue: list[str] = []
        second = (now - _EPOCH) // _SECOND
        while self._seconds and self._seconds[0] <= second and len(overdue) < limit:
            names = self._buckets.pop(heapq.heappop(self._seconds))
            overdue += self._select_overdue(names, now)
        for name in overdue[limit:]:
            self._add(now, name)
        return overdue[:limit]

    def push(self, job: str, not_before: datetime) -> None:
        """Consider a job again when its deadline has passed, at this instant at the earliest."""
        deadline = self._find_deadline(job)
        if deadline is not None:
            self._add(max(deadline, not_before), job)

    def facts_of(self, job: JobDefinition, facts: SubjectFacts, *, is_firing: bool) -> SubjectFacts:
        """Return the facts with what the condition reads of the schedule.

        `is_firing`: a restart of the process does not give more time to a run that is missing already.
        """
        since = self._since(job.name)
        return schedule_facts(job, since, facts, since if is_firing else self._started_at)

    def _select_overdue(self, names: Iterable[str], now: datetime) -> list[str]:
        """Return the jobs whose deadline has passed; plan when the others are considered again."""
        overdue = []
        jobs, find_due, counts_from = self._jobs, self._find_due, self._counts_from
        for name in names:
            job, last_due = jobs.get(name), find_due(name)
            # perf: no deadline is earlier than this one, which needs no schedule; most jobs have run meanwhile.
            if (
                job is not None
                and last_due is not None
                and (bound := last_due + job.margin) > now
                and name not in counts_from
            ):
                self._add(bound, name)
            elif (deadline := self._find_deadline(name)) is not None:
                if deadline <= now:
                    overdue.append(name)
                else:
                    self._add(deadline, name)
        return overdue

    def _add(self, at: datetime, name: str) -> None:
        second = -((_EPOCH - at) // _SECOND)  # rounded up
        names = self._buckets.get(second)
        if names is None:
            self._buckets[second] = [name]
            heapq.heappush(self._seconds, second)
        else:
            names.append(name)

    def _find_deadline(self, name: str) -> datetime | None:
        job = self._jobs.get(name)
        due = None if job is None else job.schedule.next_after(self._since(name))
        if job is None or due is None:
            return None
        if self._find_due(name) is None and name not in self._was_read:
            due = self._since(name)  # an earlier run may be missing, which only a read shows
        return max(due, self._started_at) + job.margin

    def _since(self, name: str) -> datetime:
        known = self._find_due(name)
        since = self._counts_from.get(name, self._started_at)
        return since if known is None else max(known, self._counts_from.get(name, known))


def schedule_facts(job: JobDefinition, since: datetime, facts: SubjectFacts, started_at: datetime) -> SubjectFacts:
    """Add what is due after an instant: that of the newest finished run, or the end of a suspension.

    `started_at`: the time of a run that was due before counts from then on.
    """
    due = None if job.schedule is None or not job.enabled else job.schedule.next_after(since)
    delay = timedelta() if due is None else max(started_at - due, timedelta())
    return replace(facts, unfinished_since=due, longest_run=longest_run(job) + delay)


def longest_run(job: JobDefinition) -> timedelta:
    """Return the time from the due instant of a run to its end, with its waits and its timeout."""
    return timedelta(seconds=job.longest_wait + job.timeout.run)
