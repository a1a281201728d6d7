"""Evaluates the alert rules of all subjects, and stores the alerts that change. One instance a process.

    evaluator.is_affected(run)       # after each run: false for a healthy job, at the cost of a few comparisons
    await evaluator.judge(run)       # if it is: called by scheduler.worker.publishing
    await evaluator.tick()           # by the host, each second (embedded) or minute (Functions)

Any process evaluates at any time: the result depends on what is stored, and a repetition changes nothing. The next tick
judges again what could not be judged because the store was unavailable.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from jobs.alerting.evaluation import Activity, CompiledRules
from jobs.alerting.samples import Sample
from jobs.ports import Clock
from jobs.runs import Run
from jobs.runs.reasons import ReasonCode
from scheduler.alerting.evaluation.blindness import BlindnessWatch
from scheduler.alerting.evaluation.due_times import DueTimes
from scheduler.alerting.evaluation.fact_reader import FactReader
from scheduler.alerting.evaluation.groups import GroupEvaluator
from scheduler.alerting.evaluation.history import SampleReader
from scheduler.alerting.evaluation.job_judge import JobJudge
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.alerting.evaluation.rule_index import RuleIndex, index_rules
from scheduler.alerting.evaluation.silent_jobs import SilentJobs
from scheduler.alerting.evaluation.timed_subjects import TimedSubjects
from scheduler.alerting.rule_book import RuleBook
from scheduler.catalog.catalog import Catalog
from scheduler.stores.pauses import Pauses
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.alerting")

ALERTS_MAX_AGE = 5.0
"""Seconds for which an alert that another process has stored may be unknown."""
REVIEW_INTERVAL = 50.0
"""Seconds between judgements of all alerts and groups, where other processes execute runs."""
MAX_SILENT_JOBS = 500
"""Overdue jobs that one tick judges; the next ticks judge the others."""
MAX_CONCURRENT_JUDGEMENTS = 8
_SUSPENDED = frozenset({ReasonCode.JOB_PAUSED, ReasonCode.JOB_DISABLED})


class AlertEvaluator:
    """`shares_runs`: other processes execute runs, too."""

    def __init__(
        self,
        catalog: Catalog,
        alerts: KnownAlerts,
        samples: SampleReader,
        facts: FactReader,
        due_times: DueTimes,
        groups: GroupEvaluator,
        blindness: BlindnessWatch,
        pauses: Pauses,
        clock: Clock,
        *,
        shares_runs: bool,
    ) -> None:
        self._catalog = catalog
        self._alerts = alerts
        self._samples = samples
        self._due_times = due_times
        self._groups = groups
        self._blindness = blindness
        self._pauses = pauses
        self._clock = clock
        self._shares_runs = shares_runs
        self._book = RuleBook(catalog.snapshot)
        self._index: RuleIndex | None = None
        self._activity: dict[str, Activity] = {}
        self._unjudged: set[str] = set()
        """Jobs whose judgement failed."""
        self._silent = SilentJobs(due_times.find, clock.now())
        self._jobs = JobJudge(alerts, samples, facts, self._silent, pauses, clock)
        self._suspended: frozenset[str] = frozenset()
        self._timed = TimedSubjects(alerts, facts, clock)
        self._review_at = 0.0
        self.on_change: Callable[[], None] = lambda: None
        """Called when an alert has changed."""
        self.error = ""
        """Why the latest tick failed, for health; empty if it did not."""

    @property
    def book(self) -> RuleBook:
        """The rules in force."""
        if self._book.snapshot is not self._catalog.snapshot:
            self._book = RuleBook(self._catalog.snapshot)
        return self._book

    def is_affected(self, run: Run) -> bool:
        """Take notice of a finished run. Return whether it must be judged."""
        self._due_times.add(run)
        book = self.book
        rules = book.rules_of(run.job)
        in_group = run.job in book.groups_by_job
        if not rules.rules and not in_group and run.reason is not ReasonCode.BLIND:
            return self._alerts.has_any(run.job)
        sample = self._samples.sample_of(run)
        if sample is None:
            if run.reason in _SUSPENDED:
                self._suspend(run.job)
            return run.reason is ReasonCode.BLIND
        is_group_affected = in_group and self._groups.add(run.job, sample)
        return self._observe(run.job, rules, sample) or is_group_affected

    async def judge(self, run: Run) -> None:
        """Judge what a run affects. Raises StoreError: the next tick judges the job again."""
        self._unjudged.add(run.job)
        await self._alerts.refresh(ALERTS_MAX_AGE if self._shares_runs else float("inf"))
        has_changed = False
        if run.reason is ReasonCode.BLIND:
            has_changed = await self._blindness.record_blind_run(run)
        has_changed |= await self._jobs.judge(self.book, run.job, self._suspended)
        groups = self.book.groups_by_job.get(run.job, ())
        if groups:
            has_changed |= await self._groups.judge(self.book, groups, self._suspended, self._clock.now())
        self._unjudged.discard(run.job)
        if has_changed:
            self.on_change()

    async def tick(self) -> None:
        """Judge what changes without a run. Failures of the store are logged, and the next tick repeats it."""
        try:
            await self._tick()
        except StoreError as error:
            if not self.error:
                _log.warning("could not evaluate alert rules: %s; the next tick retries", error)
            self.error = str(error)
        else:
            self.error = ""

    async def _tick(self) -> None:
        is_reviewed = await self._prepare()
        now = self._clock.now()
        has_changed = await self._blindness.tick()
        jobs = self._unjudged | await self._timed.list_subjects(self.book, self._index, self._activity, now)
        if is_reviewed:
            jobs |= self._timed.list_reviewed()
        overdue = self._silent.pop_overdue(now, MAX_SILENT_JOBS)
        await self._due_times.read(overdue if self._shares_runs else self._due_times.list_unknown(overdue))
        has_changed |= await self._judge_jobs(jobs | set(overdue))
        for job in overdue:
            self._silent.push(job, now + timedelta(seconds=REVIEW_INTERVAL))
        has_changed |= await self._judge_groups(now, is_reviewed)
        if has_changed:
            self.on_change()

    async def _prepare(self) -> bool:
        """Read alerts and pauses, and follow changed definitions. Return whether all alerts are judged."""
        monotonic = self._clock.monotonic()
        is_changed = self._index is None or self._index.book is not self.book
        is_due = self._timed.is_review_incomplete or (self._shares_runs and monotonic >= self._review_at)
        await self._alerts.refresh(ALERTS_MAX_AGE if self._shares_runs else REVIEW_INTERVAL)
        if is_changed:
            self._index = await asyncio.to_thread(index_rules, self.book)
            self._silent.replace_jobs(self._index.silent, self._clock.now())
            await self._groups.read_members(self.book)
        if is_due:
            self._review_at = monotonic + REVIEW_INTERVAL
        for job in self._activity.keys() - self._index.jobs if self._index is not None and is_changed else ():
            del self._activity[job]
        await self._follow_pauses()
        return is_changed or is_due

    async def _follow_pauses(self) -> None:
        now = self._clock.now()
        paused = frozenset(await self._pauses.list_active(now))
        for job in paused ^ self._suspended:
            self._suspend(job)
        for job in paused:
            self._silent.restart(job, now)
        self._suspended = paused

    def _suspend(self, job: str) -> None:
        """Forget samples: those of before a pause do not count after it."""
        self._samples.forget(job)
        self._activity.pop(job, None)
        self._silent.restart(job, self._clock.now())

    def _observe(self, job: str, rules: CompiledRules, sample: Sample) -> bool:
        self._samples.add(job, sample)
        before = self._activity.get(job)
        activity = rules.observe(before, sample)
        if activity is None:
            if before is not None:
                del self._activity[job]
                self._samples.forget(job)
        else:
            self._activity[job] = activity
            if rules.needs.window or rules.is_bad(sample):
                return True
        if sample.is_failed and (rules.needs.has_circuit or rules.needs.dead_letters_within):
            return True
        return self._alerts.has_any(job) or (self._shares_runs and before is not None)

    async def _judge_jobs(self, jobs: Iterable[str]) -> bool:
        semaphore, has_changed = asyncio.Semaphore(MAX_CONCURRENT_JUDGEMENTS), False

        async def judge_one(job: str) -> None:
            nonlocal has_changed
            async with semaphore:
                self._unjudged.add(job)
                has_changed |= await self._jobs.judge(self.book, job, self._suspended)
                self._unjudged.discard(job)

        await asyncio.gather(*map(judge_one, sorted(jobs)))
        return has_changed

    async def _judge_groups(self, now: datetime, is_reviewed: bool) -> bool:
        book = self.book
        if not book.groups:
            return False
        if is_reviewed:
            if self._shares_runs:
                await self._groups.read_members(book)
            return await self._groups.judge(book, book.groups, self._suspended, now)
        due = self._timed.list_due(book, now) & book.groups.keys()
        return bool(due) and await self._groups.judge(book, due, self._suspended, now)
