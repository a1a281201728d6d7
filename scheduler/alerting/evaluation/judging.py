"""Judges the rules of one job by its stored runs and facts, and those of a group by the newest run of each member."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from weakref import WeakValueDictionary

from jobs.alerting.alert import Alert, AlertStatus, Verdict, advance
from jobs.alerting.conditions.silent import SilentCondition
from jobs.alerting.facts import Sample, SampleHistory, SubjectFacts
from jobs.alerting.rule import AlertRule, CompiledRules, evaluate
from jobs.definition import JobDefinition
from jobs.incidents.values import AlertKey
from jobs.ports import Clock
from jobs.runs import Trigger
from scheduler.alerting.causes import find_causes
from scheduler.alerting.evaluation.history import FactReader, SampleReader
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.alerting.evaluation.silent_jobs import DueTimes, LatestRuns, SilentJobs
from scheduler.alerting.rule_book import SCHEDULER_KEYS, GroupRules, RuleBook
from scheduler.stores.gates import Pauses

MAX_REPETITIONS = 3
"""Judgements after one that has changed an alert."""


class JobJudge:
    """Methods that await raise StoreError. `shares_runs`: other processes execute and judge runs, too."""

    def __init__(
        self,
        alerts: KnownAlerts,
        samples: SampleReader,
        facts: FactReader,
        silent: SilentJobs,
        due_times: DueTimes,
        pauses: Pauses,
        clock: Clock,
        *,
        shares_runs: bool,
    ) -> None:
        self._alerts = alerts
        self._samples = samples
        self._facts = facts
        self._silent = silent
        self._due_times = due_times
        self._pauses = pauses
        self._clock = clock
        self._shares_runs = shares_runs
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.window_ends: dict[str, datetime] = {}
        """Jobs with a bad run in the window of a rule -> when the next run leaves a window, so the tick must judge."""

    async def judge(self, book: RuleBook, name: str, suspended: Container[str]) -> bool:
        """Judge all rules of a job, and end the alerts of removed rules. Return whether an alert has changed.

        One judgement of a job at a time: a slower one that has read fewer runs must not be the last. Of another process
        it may be: so what has changed is judged again, by what is stored then.
        """
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            has_changed = await self._judge(book, name, suspended)
            for _ in range(MAX_REPETITIONS if has_changed and self._shares_runs else 0):
                if not await self._judge(book, name, suspended):
                    break
            return has_changed

    async def _judge(self, book: RuleBook, name: str, suspended: Container[str]) -> bool:
        entry, rules = book.snapshot.find_job(name), book.rules_of(name)
        is_judged = entry is not None and bool(rules.rules) and name not in suspended
        if self._shares_runs and is_judged:
            # Before the runs: a process that changes an alert after this read judges again.
            await self._alerts.refresh_subject(name)
        has_changed = await self._end_removed(name, book)
        if entry is None or not is_judged:
            self.window_ends.pop(name, None)
            return has_changed
        reading = _ReadSamples()

        async def read() -> None:
            reading.history = await self._read_history(name, rules)

        await read()
        facts = await self._read_facts(entry.job, rules, self._clock.now())
        for rule in rules.rules:
            decide = partial(self._decide, job=entry.job, rule=rule, reading=reading, facts=facts)
            key = AlertKey(name, rule.name)
            has_changed |= await self._alerts.change(key, decide, read) is not None
        self._follow_windows(name, rules, reading.history)
        return has_changed

    def _follow_windows(self, name: str, rules: CompiledRules, history: SampleHistory) -> None:
        now, ends = self._clock.now(), []
        for window in {rule.needs.window for rule in rules.rules if rule.needs.window}:
            inside = history.select_window(now, window)
            if self._alerts.has_any(name) or any(map(rules.is_bad, inside)):
                ends += [min(sample.finished_at for sample in inside) + window] if inside else []
        if ends:
            self.window_ends[name] = min(ends)
        else:
            self.window_ends.pop(name, None)

    async def _read_history(self, name: str, rules: CompiledRules) -> SampleHistory:
        now, history = self._clock.now(), SampleHistory()
        if rules.needs.samples or rules.needs.window:
            history = await self._samples.read(name, rules, now)
        ended = self._pauses.find_ended(name, now)
        if ended is not None and ended.until is not None:
            history = replace(history, counts_from=max(filter(None, (ended.until, history.counts_from))))
        return history

    async def _read_facts(self, job: JobDefinition, rules: CompiledRules, now: datetime) -> SubjectFacts:
        facts = await self._facts.read(job, rules.needs, now)
        if not rules.needs.has_schedule:
            return facts
        is_overdue = self._shares_runs and self._silent.is_overdue(job.name, now)
        await self._due_times.read([job.name] if is_overdue else self._due_times.list_unknown([job.name]))
        return facts

    def _decide(
        self, alert: Alert, *, job: JobDefinition, rule: AlertRule, reading: _ReadSamples, facts: SubjectFacts
    ) -> Alert:
        history = reading.history
        if isinstance(rule.when, SilentCondition):
            facts = self._silent.facts_of(job, facts, is_firing=alert.is_firing)
        judged = evaluate(rule, alert, history, facts, self._clock.now())
        if judged.status is AlertStatus.FIRING and judged.number != alert.number:
            return replace(judged, causes=find_causes(job, find_newest_bad(rule, history)))
        return judged

    async def _end_removed(self, subject: str, book: RuleBook) -> bool:
        """End the alerts of a subject whose rules were removed."""
        has_changed, now = False, self._clock.now()
        ended = Verdict(False, "the rule, or its job, was removed")
        for alert in self._alerts.list_of(subject):
            key = AlertKey(alert.subject, alert.rule)
            if alert.is_active and key not in SCHEDULER_KEYS and book.rule_of(key) is None:
                has_changed |= await self._alerts.change(key, lambda each: advance(each, ended, now)) is not None
        return has_changed


@dataclass(slots=True)
class _ReadSamples:
    """The samples of which rules judge; read again after a conflict."""

    history: SampleHistory = SampleHistory()  # noqa: RUF009 - immutable


def find_newest_bad(rule: AlertRule, history: SampleHistory) -> Sample | None:
    """Return the newest sample that counts towards the rule."""
    counted = rule.select_counted(history).samples
    return next((sample for sample in reversed(counted) if rule.when.is_bad(sample)), None)


MAX_CONCURRENT_READS = 16
"""Judgements after one that has changed an alert."""
_NONE: Mapping[Trigger, Sample] = {}


class GroupEvaluator:
    """Methods that await raise StoreError. `shares_runs`: other processes execute and judge runs, too."""

    def __init__(
        self, alerts: KnownAlerts, runs: LatestRuns, samples: SampleReader, pauses: Pauses, *, shares_runs: bool
    ) -> None:
        self._alerts = alerts
        self._runs = runs
        self._samples = samples
        self._pauses = pauses
        self._shares_runs = shares_runs
        self._latest: dict[str, dict[Trigger, Sample]] = {}
        """By job, the newest sample of each trigger that is known."""
        self._read: dict[str, str] = {}
        """By job, the newest run when its samples were read."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def add(self, job: str, sample: Sample) -> bool:
        """Record the sample of a member. Return whether its groups must be judged."""
        if sample.is_unknown:
            return False
        latest = self._latest.setdefault(job, {})
        known = latest.get(sample.trigger)
        if known is not None and sample.position <= known.position:
            return False
        latest[sample.trigger] = sample
        return known is None or (known.is_failed, known.is_degraded) != (sample.is_failed, sample.is_degraded)

    def forget(self, job: str) -> None:
        """Forget the samples of a job that was suspended: they do not count after it."""
        self._latest.pop(job, None)
        self._read.pop(job, None)

    async def read_members(self, book: RuleBook, jobs: Iterable[str] | None = None) -> None:
        """Read the newest runs of members, by default of all: of those that other processes may have executed."""
        members = book.groups_by_job
        self._latest = {job: latest for job, latest in self._latest.items() if job in members}
        semaphore = asyncio.Semaphore(MAX_CONCURRENT_READS)

        async def read_one(job: str) -> None:
            async with semaphore:
                await self._read_member(book, job)

        await asyncio.gather(*(read_one(job) for job in jobs or members if self._shares_runs or job not in self._read))

    async def judge(self, book: RuleBook, names: Iterable[str], suspended: Container[str], now: datetime) -> bool:
        """Judge these groups. `suspended`: members that are paused do not count. Return whether an alert changed."""
        has_changed = False
        for name in names:
            rules = book.groups.get(name)
            if rules is not None:
                async with self._locks.setdefault(name, asyncio.Lock()):
                    has_changed |= await self._judge_repeatedly(book, name, rules, suspended, now)
        return has_changed

    async def _judge_repeatedly(
        self, book: RuleBook, name: str, rules: GroupRules, suspended: Container[str], now: datetime
    ) -> bool:
        """Judge a group. What has changed is judged again, by what other processes have stored meanwhile."""

        async def read() -> None:
            await self.read_members(book, rules.members)

        has_changed = False
        for _ in range(1 + MAX_REPETITIONS if self._shares_runs else 1):
            if self._shares_runs:
                await self._alerts.refresh_subject(name)
                await read()
            is_last = True
            for rule in rules.group.alerts:
                decide = partial(self._decide, rules=rules, rule=rule, suspended=suspended, now=now)
                is_last &= await self._alerts.change(AlertKey(name, rule.name), decide, read) is None
            if is_last:
                break
            has_changed = True
        return has_changed

    def _decide(
        self, alert: Alert, *, rules: GroupRules, rule: AlertRule, suspended: Container[str], now: datetime
    ) -> Alert:
        from jobs.alerting.groups import judge_group  # with the model of groups, which most programs do not need

        bad: dict[str, bool | None] = {}
        for job in rules.members:
            sample = None if job in suspended else self._find_newest(job, rule, now)
            bad[job] = None if sample is None else rule.when.is_bad(sample)
        return advance(alert, judge_group(rules.group, bad), now, rule.minimum_duration)

    def _find_newest(self, job: str, rule: AlertRule, now: datetime) -> Sample | None:
        latest = self._latest.get(job, _NONE)
        counted = (sample for trigger, sample in latest.items() if trigger in rule.triggers)
        newest = max(counted, key=lambda each: each.position, default=None)
        ended = self._pauses.find_ended(job, now)
        if newest is None or ended is None or ended.until is None or newest.due_at >= ended.until:
            return newest
        return None

    async def _read_member(self, book: RuleBook, job: str) -> None:
        record = await self._runs.find_latest(job, fresh=True)
        run = None if record is None else record.run
        if run is None or self._read.get(job) == run.id:
            return
        rules = [rule for name in book.groups_by_job.get(job, ()) for rule in book.groups[name].group.alerts]
        sample = self._samples.sample_of(run)
        if sample is not None and not sample.is_unknown and all(sample.trigger in rule.triggers for rule in rules):
            self.add(job, sample)
        else:
            # The newest run takes no place: an earlier one decides.
            history = await self._samples.read_stored(job, CompiledRules(rules), run.finished_at)
            for each in history.samples:
                self.add(job, each)
        self._read[job] = run.id
