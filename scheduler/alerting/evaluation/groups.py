"""Evaluates the rules of groups by the newest run of each member. Used by evaluator."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from jobs.alerting.alert import Alert, Verdict, advance
from jobs.alerting.samples import COUNTED_TRIGGERS, Sample
from jobs.incidents.values import AlertKey
from scheduler.alerting.evaluation.history import SampleReader
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.alerting.rule_book import GroupRules, RuleBook
from scheduler.stores.runs.codec import RunRecord


class LatestOfJobs(Protocol):
    async def find_latest_of_jobs(self, jobs: Iterable[str]) -> Mapping[str, RunRecord]:
        """See RunReads.find_latest_of_jobs."""
        ...


class GroupEvaluator:
    """Methods that await raise StoreError."""

    def __init__(self, alerts: KnownAlerts, runs: LatestOfJobs, samples: SampleReader) -> None:
        self._alerts = alerts
        self._runs = runs
        self._samples = samples
        self._latest: dict[str, Sample] = {}

    def add(self, job: str, sample: Sample) -> bool:
        """Record the sample of a member. Return whether its groups must be judged."""
        known = self._latest.get(job)
        if sample.trigger not in COUNTED_TRIGGERS or (known is not None and sample.position <= known.position):
            return False
        self._latest[job] = sample
        return known is None or (known.is_failed, known.is_degraded) != (sample.is_failed, sample.is_degraded)

    async def read_members(self, book: RuleBook) -> None:
        """Read the newest runs of all members: other processes may have executed them."""
        members = book.groups_by_job
        self._latest = {job: sample for job, sample in self._latest.items() if job in members}
        for job, record in (await self._runs.find_latest_of_jobs(members)).items():
            sample = None if record.run is None else self._samples.sample_of(record.run)
            if sample is not None:
                self.add(job, sample)

    async def judge(self, book: RuleBook, names: Iterable[str], suspended: Container[str], now: datetime) -> bool:
        """Judge these groups. `suspended`: members that are paused do not count. Return whether an alert changed."""
        has_changed = False
        for name in names:
            rules = book.groups.get(name)
            if rules is not None:
                has_changed |= await self._judge_one(name, rules, suspended, now)
        return has_changed

    async def _judge_one(self, name: str, rules: GroupRules, suspended: Container[str], now: datetime) -> bool:
        from jobs.alerting.groups import judge_group  # with the model of groups, which most programs do not need

        has_changed = False
        for rule in rules.group.alerts:
            latest = {job: None if job in suspended else self._latest.get(job) for job in rules.members}
            bad = {job: None if sample is None else rule.when.is_bad(sample) for job, sample in latest.items()}
            verdict = judge_group(rules.group, bad)

            decide = partial(_advance, verdict=verdict, now=now, minimum_duration=rule.minimum_duration)
            has_changed |= await self._alerts.change(AlertKey(name, rule.name), decide) is not None
        return has_changed


def _advance(alert: Alert, *, verdict: Verdict, now: datetime, minimum_duration: timedelta) -> Alert:
    return advance(alert, verdict, now, minimum_duration)
