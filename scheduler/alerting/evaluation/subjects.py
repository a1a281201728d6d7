"""Which subjects are judged: after a finished run, and in the tick although no run of them has finished.

No run of a healthy job is judged, and that is decided at little cost. Which jobs have rules for the tick is found once
a set of jobs, in a thread.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.alerting.alert import fires_at
from jobs.alerting.facts import Sample
from jobs.alerting.rule import Activity, CompiledRules
from jobs.definition import JobDefinition
from jobs.incidents.values import AlertKey
from jobs.ports import Clock
from scheduler.alerting.evaluation.history import FactReader, SampleReader
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.alerting.rule_book import RuleBook


@dataclass(frozen=True, slots=True)
class RuleIndex:
    """`jobs`: all with rules. `letters_within`: the longest window of rules about dead letters, zero without any."""

    book: RuleBook
    jobs: frozenset[str]
    silent: tuple[tuple[JobDefinition, CompiledRules], ...]
    with_secrets: tuple[tuple[JobDefinition, CompiledRules], ...]
    letters_within: timedelta


def index_rules(book: RuleBook) -> RuleIndex:
    """Prepare the rules of all jobs."""
    found = list(book.jobs_with_rules())
    return RuleIndex(
        book,
        frozenset(job.name for job, _ in found),
        tuple((job, rules) for job, rules in found if rules.needs.has_schedule),
        tuple((job, rules) for job, rules in found if rules.needs.has_secrets),
        max((rules.needs.dead_letters_within for _, rules in found), default=timedelta()),
    )


FACTS_INTERVAL = 60.0
"""Seconds between judgements of dead letters, secrets, certificates and circuits."""
MAX_REVIEWED = 500
"""Subjects with alerts that one tick judges without a cause."""


class TimedSubjects:
    def __init__(self, alerts: KnownAlerts, facts: FactReader, clock: Clock) -> None:
        self._alerts = alerts
        self._facts = facts
        self._clock = clock
        self._facts_at = 0.0
        self._reviewed_until = ""

    @property
    def is_review_incomplete(self) -> bool:
        return bool(self._reviewed_until)

    async def list_subjects(self, index: RuleIndex, window_ends: Mapping[str, datetime], now: datetime) -> set[str]:
        """Return the subjects that time alone may change. Raises StoreError.

        `window_ends`: jobs in trouble, with the instant at which a run leaves the window of a rule.
        """
        found, monotonic = self.list_due(index.book, now), self._clock.monotonic()
        found |= {job for job, at in window_ends.items() if at <= now}
        if monotonic >= self._facts_at:
            found |= await self._list_by_facts(index, now)
            self._facts_at = monotonic + FACTS_INTERVAL
        return found

    def list_due(self, book: RuleBook, now: datetime) -> set[str]:
        """Return the subjects with a pending alert that fires now if its condition is still met."""
        due: set[str] = set()
        for alert in self._alerts.list_pending():
            rule = book.rule_of(AlertKey(alert.subject, alert.rule))
            at = None if rule is None else fires_at(alert, rule.minimum_duration)
            if at is not None and at <= now:
                due.add(alert.subject)
        return due

    def list_reviewed(self) -> set[str]:
        """Return the subjects with alerts; with many of them, the next ones at each call."""
        subjects = sorted({alert.subject for alert in self._alerts.list_all()})
        start = bisect_right(subjects, self._reviewed_until)
        chosen = subjects[start : start + MAX_REVIEWED]
        self._reviewed_until = chosen[-1] if start + MAX_REVIEWED < len(subjects) else ""
        return set(chosen)

    async def _list_by_facts(self, index: RuleIndex, now: datetime) -> set[str]:
        found, book = self._facts.list_jobs_with_expiring_secrets(index.with_secrets, now), index.book
        if index.letters_within:
            found |= await self._facts.list_jobs_with_letters(now, index.letters_within) & index.jobs
        found |= {each.subject for each in self._alerts.list_all() if book.rules_of(each.subject).needs.is_timed}
        return found


class RunObserver:
    """`watched`: jobs with a bad run in the window of a rule. `shares_runs`: other processes execute runs, too."""

    def __init__(
        self, alerts: KnownAlerts, samples: SampleReader, watched: Container[str], *, shares_runs: bool
    ) -> None:
        self._alerts = alerts
        self._samples = samples
        self._watched = watched
        self._shares_runs = shares_runs
        self._activity: dict[str, Activity] = {}
        self._observed: set[str] = set()
        """Jobs with rules about windows of which a run was observed."""

    def observe(self, job: str, rules: CompiledRules, sample: Sample) -> bool:
        """Return whether the rules must be judged after a run."""
        self._samples.add(job, sample)
        before = self._activity.get(job)
        activity = rules.observe(before, sample)
        if activity is not None:
            self._activity[job] = activity
        elif before is not None:
            del self._activity[job]
            self._samples.forget(job)
        if rules.needs.longest_window and (job not in self._observed or job in self._watched):
            # After a start, bad runs of before it may be in the window.
            self._observed.add(job)
            return True
        if activity is not None and (rules.needs.counts_within or rules.is_bad(sample)):
            # Counts change with each run: a good one that leaves a window raises the share of the bad ones.
            return True
        if sample.is_failed and (rules.needs.has_circuit or rules.needs.dead_letters_within):
            return True
        return self._alerts.has_any(job) or (self._shares_runs and before is not None)

    def forget(self, job: str) -> None:
        """Forget a job that was suspended: runs of before do not count."""
        self._samples.forget(job)
        self._activity.pop(job, None)

    def retain_only(self, jobs: Set[str]) -> None:
        """Forget all jobs but these, which have rules."""
        for job in self._activity.keys() - jobs:
            del self._activity[job]
        self._observed &= jobs
