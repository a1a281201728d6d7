"""Judges the rules of one job by its stored runs and facts. Used by evaluator."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from datetime import datetime

from jobs.alerting.alert import Alert, AlertStatus, Verdict, advance
from jobs.alerting.evaluation import CompiledRules, evaluate
from jobs.alerting.rule import AlertRule
from jobs.alerting.samples import Sample
from jobs.alerting.subject import SampleHistory, SubjectFacts
from jobs.definition import JobDefinition
from jobs.incidents.values import AlertKey
from jobs.ports import Clock
from scheduler.alerting.causes import find_causes
from scheduler.alerting.evaluation.fact_reader import FactReader
from scheduler.alerting.evaluation.history import SampleReader
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.alerting.evaluation.silent_jobs import SilentJobs
from scheduler.alerting.rule_book import BLIND_KEY, RuleBook
from scheduler.stores.pauses import Pauses


class JobJudge:
    """Methods that await raise StoreError."""

    def __init__(
        self,
        alerts: KnownAlerts,
        samples: SampleReader,
        facts: FactReader,
        silent: SilentJobs,
        pauses: Pauses,
        clock: Clock,
    ) -> None:
        self._alerts = alerts
        self._samples = samples
        self._facts = facts
        self._silent = silent
        self._pauses = pauses
        self._clock = clock

    async def judge(self, book: RuleBook, name: str, suspended: Container[str]) -> bool:
        """Judge all rules of a job, and end the alerts of removed rules. Return whether an alert has changed."""
        now = self._clock.now()
        has_changed = await self._end_removed(name, book)
        entry, rules = book.snapshot.find_job(name), book.rules_of(name)
        if entry is None or not rules.rules or name in suspended:
            return has_changed
        history = SampleHistory()
        if rules.needs.samples or rules.needs.window:
            history = await self._samples.read(name, rules.needs, now, rules.triggers)
        ended = self._pauses.find_ended(name, now)
        if ended is not None and ended.until is not None:
            history = replace(history, counts_from=max(filter(None, (ended.until, history.counts_from))))
        facts = await self._read_facts(entry.job, rules, now)
        for rule in rules.rules:
            has_changed |= await self._judge_rule(entry.job, rule, history, facts, now)
        return has_changed

    async def _read_facts(self, job: JobDefinition, rules: CompiledRules, now: datetime) -> SubjectFacts:
        facts = await self._facts.read(job, rules.needs, now)
        return self._silent.facts_of(job, facts) if rules.needs.has_schedule else facts

    async def _judge_rule(
        self, job: JobDefinition, rule: AlertRule, history: SampleHistory, facts: SubjectFacts, now: datetime
    ) -> bool:
        def decide(alert: Alert) -> Alert:
            judged = evaluate(rule, alert, history, facts, now)
            if judged.status is AlertStatus.FIRING and judged.number != alert.number:
                return replace(judged, causes=find_causes(job, find_newest_bad(rule, history)))
            return judged

        return await self._alerts.change(AlertKey(job.name, rule.name), decide) is not None

    async def _end_removed(self, subject: str, book: RuleBook) -> bool:
        """End the alerts of a subject whose rules were removed."""
        has_changed, now = False, self._clock.now()
        ended = Verdict(False, "the rule, or its job, was removed")
        for alert in [each for each in self._alerts.list_all() if each.subject == subject and each.is_active]:
            key = AlertKey(alert.subject, alert.rule)
            if key != BLIND_KEY and book.rule_of(key) is None:
                has_changed |= await self._alerts.change(key, lambda each: advance(each, ended, now)) is not None
        return has_changed


def find_newest_bad(rule: AlertRule, history: SampleHistory) -> Sample | None:
    """Return the newest sample that counts towards the rule."""
    counted = history.select_counted(rule.triggers).samples  # type: ignore[arg-type]
    return next((sample for sample in reversed(counted) if rule.when.is_bad(sample)), None)
