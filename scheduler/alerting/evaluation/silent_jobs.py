"""Finds the jobs of which a run was due and none has finished, without reading the others. Used by evaluator.

Each job with a rule `silent` has a deadline in a heap. A deadline that has passed is computed again from the newest
finished run that is known; so a pass costs as much as deadlines have passed, however many jobs exist.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from jobs.alerting.conditions.silent import SilentCondition
from jobs.alerting.evaluation import CompiledRules
from jobs.alerting.subject import SubjectFacts
from jobs.definition import JobDefinition

FindDue = Callable[[str], datetime | None]


class SilentJobs:
    """`started_at`: instants before it are not judged, unless a later run is known: catch-up handles them."""

    def __init__(self, find_due: FindDue, started_at: datetime) -> None:
        self._find_due = find_due
        self._started_at = started_at
        self._jobs: dict[str, tuple[JobDefinition, tuple[SilentCondition, ...]]] = {}
        self._counts_from: dict[str, datetime] = {}
        """The end of the latest suspension of a job, or the instant from which it is watched."""
        self._heap: list[tuple[datetime, str]] = []

    def replace_jobs(self, jobs: Iterable[tuple[JobDefinition, CompiledRules]], now: datetime) -> None:
        """Watch these jobs; those whose schedule is new are judged from now on."""
        before, self._jobs = self._jobs, {}
        for job, rules in jobs:
            conditions = tuple(rule.when for rule in rules.rules if isinstance(rule.when, SilentCondition))
            if not conditions or job.schedule is None:
                continue
            known = before.get(job.name)
            if before and (known is None or known[0].schedule != job.schedule):
                self._counts_from[job.name] = now
            self._jobs[job.name] = job, conditions
        self._counts_from = {name: at for name, at in self._counts_from.items() if name in self._jobs}
        self._heap = [(deadline, name) for name in self._jobs if (deadline := self._find_deadline(name)) is not None]
        heapq.heapify(self._heap)

    def restart(self, job: str, now: datetime) -> None:
        """Judge the job from now on: it is suspended now, or was until now."""
        if job in self._jobs:
            self._counts_from[job] = now

    def pop_overdue(self, now: datetime, limit: int) -> list[str]:
        """Return jobs whose known deadline has passed, at most so many; the next call returns the rest.

        Call `push` for each of them once it was judged.
        """
        overdue: list[str] = []
        while self._heap and self._heap[0][0] <= now and len(overdue) < limit:
            _, name = heapq.heappop(self._heap)
            deadline = self._find_deadline(name)
            if deadline is None:
                continue
            if deadline <= now:
                overdue.append(name)
            else:
                heapq.heappush(self._heap, (deadline, name))
        return overdue

    def push(self, job: str, not_before: datetime) -> None:
        """Consider a job again when its deadline has passed, at this instant at the earliest."""
        deadline = self._find_deadline(job)
        if deadline is not None:
            heapq.heappush(self._heap, (max(deadline, not_before), job))

    def facts_of(self, job: JobDefinition, facts: SubjectFacts) -> SubjectFacts:
        """Return the facts with what the condition reads of the schedule."""
        return schedule_facts(job, self._since(job.name), facts)

    def _find_deadline(self, name: str) -> datetime | None:
        found = self._jobs.get(name)
        if found is None:
            return None
        job, conditions = found
        facts = schedule_facts(job, self._since(name), SubjectFacts())
        deadlines = [each.find_deadline(facts) for each in conditions]
        return min((each for each in deadlines if each is not None), default=None)

    def _since(self, name: str) -> datetime:
        known = self._find_due(name)
        since = self._counts_from.get(name, self._started_at)
        return since if known is None else max(known, self._counts_from.get(name, known))


def schedule_facts(job: JobDefinition, since: datetime, facts: SubjectFacts) -> SubjectFacts:
    """Add what is due after an instant: that of the newest finished run, or the end of a suspension."""
    due = None if job.schedule is None or not job.enabled else job.schedule.next_after(since)
    return replace(facts, unfinished_since=due, longest_run=timedelta(seconds=job.longest_wait + job.timeout.run))
