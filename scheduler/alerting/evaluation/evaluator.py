"""Evaluates the alert rules of all subjects, and stores the alerts that change. One instance a process.

    evaluator.is_affected(run)       # after each run: false for a healthy job, at the cost of a few comparisons
    await evaluator.judge(run)       # if it is: called by scheduler.worker.publishing
    await evaluator.tick()           # by the host, each second (embedded) or minute (Functions)

Any process evaluates at any time: a repetition changes nothing. The next tick judges what the store has prevented.
Which jobs have rules for the tick is found once a set of jobs, in a thread."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Callable, Collection, Container, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.alerting.alert import fires_at
from jobs.alerting.comparison import last_complete_hour
from jobs.alerting.facts import Sample
from jobs.alerting.rule import Activity, CompiledRules
from jobs.definition import JobDefinition
from jobs.incidents.values import AlertKey
from jobs.ports import Clock
from jobs.runs import Run
from jobs.runs.outcomes import ReasonCode
from scheduler.alerting.evaluation.blindness import BlindnessWatch
from scheduler.alerting.evaluation.burn_rates import ObjectiveEvaluator
from scheduler.alerting.evaluation.history import FactReader, SampleReader
from scheduler.alerting.evaluation.judging import GroupEvaluator, JobJudge
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.alerting.evaluation.silent_jobs import DueTimes, SilentJobs
from scheduler.alerting.rule_book import RuleBook
from scheduler.catalog.catalog import Catalog
from scheduler.stores.gates import Pauses
from scheduler.stores.port import StoreError


@dataclass(frozen=True, slots=True)
class RuleIndex:
    """`jobs`: all with rules. `letters_within`: the longest window of rules about dead letters, zero without any."""

    book: RuleBook
    jobs: frozenset[str]
    silent: tuple[tuple[JobDefinition, CompiledRules], ...]
    with_secrets: tuple[tuple[JobDefinition, CompiledRules], ...]
    compared: tuple[str, ...]
    letters_within: timedelta


def index_rules(book: RuleBook) -> RuleIndex:
    """Prepare the rules of all jobs."""
    jobs = list(book.jobs_with_rules())
    return RuleIndex(
        book,
        frozenset(job.name for job, _ in jobs),
        tuple((job, rules) for job, rules in jobs if rules.needs.has_schedule),
        tuple((job, rules) for job, rules in jobs if rules.needs.has_secrets),
        tuple(job.name for job, rules in jobs if rules.needs.compared),
        max((rules.needs.dead_letters_within for _, rules in jobs), default=timedelta()),
    )


FACTS_INTERVAL = 60.0
"""Seconds between judgements of dead letters, secrets, certificates and circuits."""
MAX_COMPARED = 50
"""Jobs whose hours one tick compares with earlier ones: each costs some ten requests of the store."""
MAX_REVIEWED = 500
"""Subjects with alerts that one tick judges without a cause."""


class TimedSubjects:
    def __init__(self, alerts: KnownAlerts, facts: FactReader, clock: Clock) -> None:
        self._alerts = alerts
        self._facts = facts
        self._clock = clock
        self._facts_at = 0.0
        self._reviewed_until = ""
        self._compared_at: datetime | None = None
        self._to_compare: list[str] = []

    @property
    def is_review_incomplete(self) -> bool:
        return bool(self._reviewed_until)

    async def list_subjects(self, index: RuleIndex, window_ends: Mapping[str, datetime], now: datetime) -> set[str]:
        """Return the subjects that time alone may change. Raises StoreError.

        `window_ends`: jobs in trouble, with the instant at which a run leaves the window of a rule.
        """
        subjects, monotonic = self.list_due(index.book, now), self._clock.monotonic()
        subjects |= {job for job, at in window_ends.items() if at <= now}
        if monotonic >= self._facts_at:
            subjects |= await self._list_by_facts(index, now)
            self._facts_at = monotonic + FACTS_INTERVAL
        return subjects | self._take_compared(index, last_complete_hour(now))

    def _take_compared(self, index: RuleIndex, hour: datetime) -> set[str]:
        """Return the next jobs that are compared after an hour has ended."""
        if index.compared and hour != self._compared_at:
            self._compared_at, self._to_compare = hour, [*index.compared]
        some, self._to_compare = self._to_compare[:MAX_COMPARED], self._to_compare[MAX_COMPARED:]
        return set(some)

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
        objectives: ObjectiveEvaluator,
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
        self._objectives = objectives
        self._blindness = blindness
        self._pauses = pauses
        self._clock = clock
        self._shares_runs = shares_runs
        self._book = RuleBook(catalog.snapshot)
        self._index: RuleIndex | None = None
        self._unjudged: set[str] = set()
        """Jobs whose judgement failed."""
        self._unjudged_groups: set[str] = set()
        """Groups and objectives that the next tick judges."""
        self._silent = SilentJobs(due_times.find, clock.now())
        self._jobs = JobJudge(alerts, samples, facts, self._silent, due_times, pauses, clock, shares_runs=shares_runs)
        self._observer = RunObserver(alerts, samples, self._jobs.window_ends, shares_runs=shares_runs)
        self._timed = TimedSubjects(alerts, facts, clock)
        self._suspended: frozenset[str] = frozenset()
        self._review_at = 0.0
        self._has_changed = False
        self.on_change: Callable[[], None] = lambda: None
        """Called when an alert has changed."""
        self.on_evaluated: Callable[[int], None] = lambda subjects: None
        """Called with the number of jobs, groups and objectives whose rules were judged."""
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
        watch = book.watch_of(run.job)
        if watch is None:
            return run.reason is ReasonCode.BLIND
        rules = watch.rules
        sample = self._samples.sample_of(run)
        if sample is None or (sample.is_unknown and not rules.needs.has_unknown):
            if run.reason in _SUSPENDED:
                self._suspend(run.job)
            # A run that takes no place ends silence nevertheless.
            return run.reason is ReasonCode.BLIND or (rules.needs.has_schedule and self._alerts.has_any(run.job))
        is_group_affected = watch.in_group and self._groups.add(run.job, sample)
        is_objective_affected = (
            watch.in_objective and not sample.is_unknown and self._objectives.add(book, run.job, sample)
        )
        return self._observer.observe(run.job, rules, sample) or is_group_affected or is_objective_affected

    async def judge(self, run: Run) -> None:
        """Judge what a run affects. Raises StoreError: the next tick judges the job again."""
        try:
            await self._alerts.refresh(ALERTS_MAX_AGE if self._shares_runs else float("inf"))
            if run.reason is ReasonCode.BLIND:
                self._note(await self._blindness.record_blind_run(run))
            self._note(await self._jobs.judge(self.book, run.job, self._suspended))
            self.on_evaluated(1)
            await self._judge_groups(self._list_affected_groups([run.job]))
            self._unjudged.discard(run.job)
        except BaseException:
            self._unjudged.add(run.job)
            raise
        finally:
            self._report_change()

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
        finally:
            self._report_change()

    async def _tick(self) -> None:
        index = await self._prepare()
        monotonic, now, book = self._clock.monotonic(), self._clock.now(), index.book
        self._note(await self._blindness.tick())
        subjects = self._unjudged | await self._timed.list_subjects(index, self._jobs.window_ends, now)
        is_reviewed = monotonic >= self._review_at
        if is_reviewed or self._timed.is_review_incomplete:
            subjects |= self._timed.list_reviewed()
        self._unjudged_groups |= book.groups.keys() if is_reviewed else subjects & book.groups.keys()
        self._unjudged_groups |= subjects & book.objectives.keys() | self._list_affected_groups(self._unjudged)
        errors = [await self._judge_jobs(subjects), await self._judge_silent(now)]
        judged = frozenset(self._unjudged_groups)
        await self._judge_groups(judged)
        self._unjudged_groups -= judged
        for error in filter(None, errors):
            raise error
        if is_reviewed:
            self._review_at = monotonic + REVIEW_INTERVAL if self._shares_runs else float("inf")

    async def _prepare(self) -> RuleIndex:
        """Read alerts and pauses, and follow changed definitions. Return the rules."""
        await self._alerts.refresh(ALERTS_MAX_AGE if self._shares_runs else REVIEW_INTERVAL)
        now, book = self._clock.now(), self.book
        paused = frozenset(await self._pauses.list_active(now))
        index = self._index
        if index is None or index.book is not book:
            index = await asyncio.to_thread(index_rules, book)
            await self._groups.read_members(book)
            self._objectives.retain_only(book)
            self._silent.replace_jobs(index.silent, now)
            for job, _ in index.silent:
                if (ended := self._pauses.find_ended(job.name, now)) is not None and ended.until is not None:
                    self._silent.restart(job.name, ended.until)
            self._observer.retain_only(index.jobs)
            self._index, self._review_at = index, 0.0
        self._follow_pauses(paused, now)
        return index

    def _follow_pauses(self, paused: frozenset[str], now: datetime) -> None:
        changed = paused ^ self._suspended
        for job in changed:
            self._suspend(job)
        for job in paused:
            self._silent.restart(job, now)
        self._suspended = paused
        self._unjudged_groups |= self.book.groups_of(changed)

    def _suspend(self, job: str) -> None:
        """Forget samples: those of before a pause do not count after it."""
        self._observer.forget(job)
        self._groups.forget(job)
        self._jobs.window_ends.pop(job, None)
        self._silent.restart(job, self._clock.now())

    async def _judge_silent(self, now: datetime) -> StoreError | None:
        overdue = self._silent.pop_overdue(now, MAX_SILENT_JOBS)
        try:
            await self._due_times.read(overdue if self._shares_runs else self._due_times.list_unknown(overdue))
            self._silent.record_read(overdue)
            return await self._judge_jobs({job for job in overdue if self._silent.is_overdue(job, now)})
        finally:
            for job in overdue:
                self._silent.push(job, now + timedelta(seconds=REVIEW_INTERVAL))

    async def _judge_jobs(self, jobs: Collection[str]) -> StoreError | None:
        """Judge jobs. Return the first failure of the store; it concerns no other job."""
        waiting, errors = iter(sorted(jobs)), list[StoreError]()

        async def judge_some() -> None:
            for job in waiting:
                try:
                    self._note(await self._jobs.judge(self.book, job, self._suspended))
                    self._unjudged.discard(job)
                    self.on_evaluated(1)
                except StoreError as error:
                    self._unjudged.add(job)
                    errors.append(error)
                await asyncio.sleep(0)  # most judgements wait for nothing, and other work must not wait for all of them

        await asyncio.gather(*(judge_some() for _ in range(min(MAX_CONCURRENT_JUDGEMENTS, len(jobs)))))
        return errors[0] if errors else None

    def _list_affected_groups(self, jobs: Collection[str]) -> set[str]:
        """Return the groups of jobs, and the objectives that are not healthy."""
        return self.book.groups_of(jobs) | self._objectives.list_affected(self.book, jobs)

    async def _judge_groups(self, names: Collection[str]) -> None:
        if names:
            self._note(await self._groups.judge(self.book, sorted(names), self._suspended, self._clock.now()))
            self._note(await self._objectives.judge(self.book, sorted(names)))
            self.on_evaluated(len(names))

    def _note(self, has_changed: bool) -> None:
        """Not `|=` with await, which loses what was set meanwhile."""
        self._has_changed = self._has_changed or has_changed

    def _report_change(self) -> None:
        if self._has_changed:
            self._has_changed = False
            self.on_change()
