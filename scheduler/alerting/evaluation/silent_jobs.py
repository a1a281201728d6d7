"""Finds the jobs of which a run was due and none has finished, without reading the others. Used by evaluator.

The jobs with a rule `silent` are in buckets by deadline. A deadline that has passed is computed again from the newest
finished run that is known; so a pass costs as much as deadlines have passed, however many jobs exist.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from jobs.alerting.conditions.silent import SilentCondition
from jobs.alerting.evaluation import CompiledRules
from jobs.alerting.subject import SubjectFacts
from jobs.definition import JobDefinition
from jobs.fast_frozen import fast_frozen
from jobs.schedules import Schedule

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)

FindDue = Callable[[str], datetime | None]


@fast_frozen(frozen=True, slots=True)
class _WatchedJob:
    """`margin`: from a due instant to its deadline."""

    schedule: Schedule
    margin: timedelta


class SilentJobs:
    """`started_at`: instants before it are not judged, unless a later run is known: catch-up handles them."""

    def __init__(self, find_due: FindDue, started_at: datetime) -> None:
        self._find_due = find_due
        self._started_at = started_at
        self._jobs: dict[str, _WatchedJob] = {}
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
            if before and (known is None or known.schedule != job.schedule):
                self._counts_from[job.name] = now
            self._jobs[job.name] = _WatchedJob(job.schedule, longest_run(job) + min(graces))
        self._counts_from = {name: at for name, at in self._counts_from.items() if name in self._jobs}
        self._buckets, self._seconds = {}, []
        for name in self._jobs:
            deadline = self._find_deadline(name)
            if deadline is not None:
                self._add(deadline, name)

    def restart(self, job: str, now: datetime) -> None:
        """Judge the job from now on: it is suspended now, or was until now."""
        if job in self._jobs:
            self._counts_from[job] = now

    def pop_overdue(self, now: datetime, limit: int) -> list[str]:
        """Return jobs whose known deadline has passed, at most so many; the next call returns the rest.

        Call `push` for each of them once it was judged.
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

    def facts_of(self, job: JobDefinition, facts: SubjectFacts) -> SubjectFacts:
        """Return the facts with what the condition reads of the schedule."""
        return schedule_facts(job, self._since(job.name), facts)

    def _select_overdue(self, names: Iterable[str], now: datetime) -> list[str]:
        """Return the jobs whose deadline has passed; plan when the others are considered again."""
        overdue = []
        jobs, find_due, counts_from = self._jobs, self._find_due, self._counts_from
        for name in names:
            job, known = jobs.get(name), find_due(name)
            # perf: no deadline is earlier than this one, which needs no schedule; most jobs have run meanwhile.
            if (
                job is not None
                and known is not None
                and (bound := known + job.margin) > now
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
        found = self._jobs.get(name)
        due = None if found is None else found.schedule.next_after(self._since(name))
        return None if found is None or due is None else due + found.margin

    def _since(self, name: str) -> datetime:
        known = self._find_due(name)
        since = self._counts_from.get(name, self._started_at)
        return since if known is None else max(known, self._counts_from.get(name, known))


def schedule_facts(job: JobDefinition, since: datetime, facts: SubjectFacts) -> SubjectFacts:
    """Add what is due after an instant: that of the newest finished run, or the end of a suspension."""
    due = None if job.schedule is None or not job.enabled else job.schedule.next_after(since)
    return replace(facts, unfinished_since=due, longest_run=longest_run(job))


def longest_run(job: JobDefinition) -> timedelta:
    """Return the time from the due instant of a run to its end, with its waits and its timeout."""
    return timedelta(seconds=job.longest_wait + job.timeout.run)
