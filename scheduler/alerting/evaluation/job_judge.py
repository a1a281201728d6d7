"""Judges the rules of one job by its stored runs and facts. Used by evaluator."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from weakref import WeakValueDictionary

from jobs.alerting.alert import Alert, AlertStatus, Verdict, advance
from jobs.alerting.conditions.silent import SilentCondition
from jobs.alerting.evaluation import CompiledRules, evaluate
from jobs.alerting.facts import Sample, SampleHistory, SubjectFacts
from jobs.alerting.rule import AlertRule
from jobs.definition import JobDefinition
from jobs.incidents.values import AlertKey
from jobs.ports import Clock
from scheduler.alerting.causes import find_causes
from scheduler.alerting.evaluation.due_times import DueTimes
from scheduler.alerting.evaluation.fact_reader import FactReader
from scheduler.alerting.evaluation.history import SampleReader
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.alerting.evaluation.silent_jobs import SilentJobs
from scheduler.alerting.rule_book import BLIND_KEY, IDENTITY_KEY, RuleBook
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
            if alert.is_active and key not in (BLIND_KEY, IDENTITY_KEY) and book.rule_of(key) is None:
                has_changed |= await self._alerts.change(key, lambda each: advance(each, ended, now)) is not None
        return has_changed


@dataclass(slots=True)
class _ReadSamples:
    """The samples of which rules judge; read again after a conflict."""

    history: SampleHistory = SampleHistory()  # noqa: RUF009 - immutable


def find_newest_bad(rule: AlertRule, history: SampleHistory) -> Sample | None:
    """Return the newest sample that counts towards the rule."""
    counted = history.select_counted(rule.triggers).samples  # type: ignore[arg-type]
    return next((sample for sample in reversed(counted) if rule.when.is_bad(sample)), None)
