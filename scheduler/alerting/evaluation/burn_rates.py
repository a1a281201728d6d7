"""Burn rates: counts of runs in windows of days, and the burn alerts of objectives over several jobs.

The counts of an objective's jobs are added. Rollups and the runs of divided hours only are read. Windows and blind
times are read at most each EXCLUSIONS_AGE seconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from weakref import WeakValueDictionary

from jobs.alerting.alert import Alert
from jobs.alerting.conditions.burn_rate import MAX_BURN_WINDOW
from jobs.alerting.facts import Sample, SampleHistory, SubjectFacts
from jobs.alerting.rule import Activity, AlertRule, CompiledRules, evaluate
from jobs.definition import JobDefinition
from jobs.incidents.downtime import merge_spans
from jobs.incidents.suppression.spans import Span
from jobs.incidents.values import AlertKey
from jobs.objectives import NO_COUNTS, SliCounts
from jobs.ports import Clock
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.alerting.rule_book import RuleBook
from scheduler.features.incidents.exclusions import CommonExclusions, ExclusionReader
from scheduler.features.objectives.run_counting import MILLISECOND, ObjectiveRunCounter
from scheduler.stores.runs.repository import Runs

EXCLUSIONS_AGE = timedelta(seconds=15)


class RunCountReader:
    """Raises StoreError."""

    def __init__(self, runs: Runs, exclusions: ExclusionReader) -> None:
        self._runs = runs
        self._exclusions = exclusions
        self._common: tuple[datetime, CommonExclusions] | None = None
        self._lock = asyncio.Lock()

    async def read(
        self, job: JobDefinition, windows: Set[tuple[timedelta, bool]], now: datetime
    ) -> Mapping[tuple[timedelta, bool], SliCounts]:
        """Return the counts by window, and by whether degraded runs are bad."""
        async with self._lock:
            common = await self._read_common(now)
        times = self._exclusions.list_uncounted(
            job, Span(now - max(window for window, _ in windows), now + MILLISECOND), common
        )
        excluded = merge_spans(Span(time.begin, time.end) for time in times.times)
        counts_by_window: dict[tuple[timedelta, bool], SliCounts] = {}
        for is_degraded_bad in sorted({is_bad for _, is_bad in windows}):
            counter = ObjectiveRunCounter(self._runs, is_degraded_bad=is_degraded_bad)
            chosen = [window for window, is_bad in windows if is_bad == is_degraded_bad]
            counts = await counter.count_windows(job.name, now, chosen, excluded)
            counts_by_window |= {(window, is_degraded_bad): count for window, count in counts.items()}
        return counts_by_window

    async def _read_common(self, now: datetime) -> CommonExclusions:
        known = self._common
        if known is not None and timedelta() <= now - known[0] < EXCLUSIONS_AGE:
            return known[1]
        common = await self._exclusions.read_common(Span(now - timedelta(seconds=MAX_BURN_WINDOW), now))
        self._common = now, common
        return common


MAX_CONCURRENT_COUNTS = 8
"""Jobs of an objective whose counts are read at once."""
MAX_REPETITIONS = 3
"""Judgements after one that has changed an alert."""


class ObjectiveEvaluator:
    """Methods that await raise StoreError. `shares_runs`: other processes execute and judge runs, too."""

    def __init__(self, alerts: KnownAlerts, run_counts: RunCountReader, clock: Clock, *, shares_runs: bool) -> None:
        self._alerts = alerts
        self._run_counts = run_counts
        self._clock = clock
        self._shares_runs = shares_runs
        self._activity: dict[str, Activity] = {}
        """Objectives of which a run was bad within a short window."""
        self._requests: Counter[str] = Counter()
        self._answered: dict[str, int] = {}
        """By objective that was judged since the start, how many requests the latest judgement has answered."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def add(self, book: RuleBook, job: str, sample: Sample) -> bool:
        """Take notice of a run of a job with objectives. Return whether one of them must be judged."""
        for name in book.objectives_by_job[job]:
            activity = book.rules_of(name).observe(self._activity.get(name), sample)
            if activity is not None:
                self._activity[name] = activity
            else:
                self._activity.pop(name, None)
        return bool(self.list_affected(book, (job,)))

    def list_affected(self, book: RuleBook, jobs: Iterable[str]) -> set[str]:
        """Return the objectives of these jobs that had a bad run within a short window, or have an alert.

        After a start also those that were not judged yet: bad runs of before it may be in the windows.
        """
        names = {name for job in jobs for name in book.objectives_by_job.get(job, ())}
        return {
            name for name in names if name in self._activity or name not in self._answered or self._alerts.has_any(name)
        }

    def retain_only(self, book: RuleBook) -> None:
        """Forget the objectives that do not exist any more."""
        for known in (self._activity, self._requests, self._answered):
            for name in known.keys() - book.objectives.keys():
                del known[name]

    async def judge(self, book: RuleBook, names: Iterable[str]) -> bool:
        """Judge those of these names that are objectives. Return whether an alert has changed.

        One judgement of an objective at a time. When many of its jobs fail at once, one answers all that wait for it.
        """
        has_changed = False
        for name in names:
            if name not in book.objectives:
                continue
            self._requests[name] += 1
            number = self._requests[name]
            async with self._locks.setdefault(name, asyncio.Lock()):
                if self._answered.get(name, 0) < number:
                    answered = self._requests[name]
                    has_changed |= await self._judge_repeatedly(book, name)
                    self._answered[name] = answered
        return has_changed

    async def _judge_repeatedly(self, book: RuleBook, name: str) -> bool:
        """What has changed is judged again, by what other processes have stored meanwhile."""
        for repetition in range(1 + MAX_REPETITIONS if self._shares_runs else 1):
            if not await self._judge(book, name):
                return repetition > 0
        return True

    async def _judge(self, book: RuleBook, name: str) -> bool:
        if self._shares_runs:
            # Before the runs: a process that changes an alert after this read judges again.
            await self._alerts.refresh_subject(name)
        rules, reading = book.rules_of(name), _ReadCounts(self._clock.now())

        async def read() -> None:
            reading.at = self._clock.now()
            reading.facts = SubjectFacts(run_counts=await self._count(book, name, rules, reading.at))

        await read()
        has_changed = False
        for rule in rules.rules:
            decide = partial(reading.decide, rule)
            has_changed |= await self._alerts.change(AlertKey(name, rule.name), decide, read) is not None
        return has_changed

    async def _count(
        self, book: RuleBook, name: str, rules: CompiledRules, now: datetime
    ) -> Mapping[tuple[timedelta, bool], SliCounts]:
        """Return the sums over the jobs by window."""
        windows = rules.needs.counts_within
        totals = dict.fromkeys(windows, NO_COUNTS)
        entries = (book.snapshot.find_job(job) for job in book.objectives[name].members)
        waiting = iter([entry.job for entry in entries if entry is not None])

        async def count_some() -> None:
            for job in waiting:
                for window, counts in (await self._run_counts.read(job, windows, now)).items():
                    totals[window] += counts

        await asyncio.gather(*(count_some() for _ in range(MAX_CONCURRENT_COUNTS)))
        return totals


@dataclass(slots=True)
class _ReadCounts:
    """The counts of which rules judge; read again after a conflict."""

    at: datetime
    facts: SubjectFacts = SubjectFacts()  # noqa: RUF009 - immutable

    def decide(self, rule: AlertRule, alert: Alert) -> Alert:
        return evaluate(rule, alert, SampleHistory(), self.facts, self.at)
