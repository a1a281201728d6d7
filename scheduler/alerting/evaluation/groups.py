"""Evaluates the rules of groups by the newest run of each member. Used by evaluator."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from functools import partial
from weakref import WeakValueDictionary

from jobs.alerting.alert import Alert, advance
from jobs.alerting.evaluation import CompiledRules
from jobs.alerting.facts import Sample
from jobs.alerting.rule import AlertRule
from jobs.incidents.values import AlertKey
from jobs.runs import Trigger
from scheduler.alerting.evaluation.due_times import LatestRuns
from scheduler.alerting.evaluation.history import SampleReader
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.alerting.rule_book import GroupRules, RuleBook
from scheduler.stores.gates import Pauses

MAX_CONCURRENT_READS = 16
MAX_REPETITIONS = 3
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
        if sample is not None and all(sample.trigger in rule.triggers for rule in rules):
            self.add(job, sample)
        else:
            # The newest run takes no place: an earlier one decides.
            history = await self._samples.read_stored(job, CompiledRules(rules), run.finished_at)
            for each in history.samples:
                self.add(job, each)
        self._read[job] = run.id
