"""The alerts of one job or group in a replay.

They are judged after each run and at the instants at which time alone changes a verdict, those of a group after each
run of a job of the group that differs from its last one. Gives the same alerts as an evaluation of all rules after each
run and in each second.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from jobs.alerting.alert import Alert, AlertStatus, advance, fires_at
from jobs.alerting.comparison import (
    SETTLE,
    ComparedHours,
    HoursNeed,
    last_complete_hour,
)
from jobs.alerting.conditions.base import SampleCondition, WindowCondition, is_met_by
from jobs.alerting.conditions.certificate_days import CertificateDaysCondition
from jobs.alerting.conditions.slower_than_usual import SlowerThanUsualCondition
from jobs.alerting.facts import MAX_WINDOW, Sample, SampleHistory, Series, SubjectFacts, series_of
from jobs.alerting.rule import Activity, AlertRule, CompiledRules, judge_rule
from jobs.fast_frozen import fast_frozen
from jobs.runs.outcomes import Trigger
from scheduler.alerting.replay.history import ReplayRun
from scheduler.alerting.rule_book import GroupRules

_MILLISECOND = timedelta(milliseconds=1)


@fast_frozen(frozen=True, slots=True)
class AlertChange:
    """`after`: the alert; an inactive one has no row."""

    before: Alert
    after: Alert


ComparedFacts = Mapping[HoursNeed, ComparedHours]
_NOT_COMPARED: Mapping[datetime, ComparedFacts] = {}


class JobAlerts:
    """`alerts`: those that are not inactive, by rule. `last_due`: of the newest finished run."""

    def __init__(
        self,
        job: str,
        rules: CompiledRules,
        causes: tuple[str, ...] = (),
        compared: Mapping[datetime, ComparedFacts] = _NOT_COMPARED,
    ) -> None:
        """`causes`: what its alerts may share with others, whatever the run is. `compared`: see JobHistory."""
        self._job = job
        self._rules = rules
        self._samples: list[Sample] = []
        self._series: dict[str, Series] = {}
        self._activity: Activity | None = None
        self._counts_from: datetime | None = None
        self._certificate: datetime | None = None
        self._causes = causes
        self._compared = compared
        self._ends = sorted(compared)
        self._can_be_timed = rules.needs.is_timed or any(rule.for_ for rule in rules.rules)
        self.alerts: dict[str, Alert] = {}
        self.last_due: datetime | None = None

    def alert_of(self, rule: str) -> Alert:
        return self.alerts.get(rule) or Alert(self._job, rule)

    def add(self, run: ReplayRun, *, counts: bool = True) -> list[AlertChange]:
        """Judge the rules after a run. `counts`: False inside a window whose runs do not count."""
        sample = run.sample
        if sample is None or sample.trigger is not Trigger.BACKFILL:
            self.last_due = run.due_at if self.last_due is None else max(self.last_due, run.due_at)
        if sample is None or not counts:
            return []
        if run.causes:
            self._causes = run.causes
        self._activity = self._rules.observe(self._activity, sample)
        self._hold(sample)
        return list(self._judge_all(sample.finished_at, sample))

    def resume(self, at: datetime) -> None:
        """Runs that were due before the end of a pause do not count."""
        self._counts_from = at
        self._samples = [sample for sample in self._samples if sample.due_at >= at]
        self._series.clear()
        self._activity = None

    def learn_certificate(self, expires_at: datetime, at: datetime) -> list[AlertChange]:
        self._certificate = expires_at
        return self.judge_time(at)

    def judge_time(self, now: datetime) -> list[AlertChange]:
        """Judge the rules whose verdict can change without a run."""
        return list(self._judge_all(now, None))

    def next_due(self, now: datetime) -> datetime | None:
        """Return the next instant at which time alone can change an alert."""
        if not self._can_be_timed:
            return None
        moments = [moment for rule in self._rules.rules for moment in self._moments_of(rule, now)]
        return min((moment for moment in moments if moment > now), default=None)

    def settle(self, rule: str) -> None:
        """Forget an alert whose incident has recorded that it resolved."""
        self.alerts.pop(rule, None)

    def _moments_of(self, rule: AlertRule, now: datetime) -> Iterator[datetime]:
        alert = self.alerts.get(rule.name)
        if alert is not None and (moment := fires_at(alert, rule.minimum_duration)) is not None:
            yield moment
        condition = rule.when
        if rule.needs.compared and (place := bisect_right(self._ends, now - SETTLE)) < len(self._ends):
            yield self._ends[place] + SETTLE
        if isinstance(condition, CertificateDaysCondition) and self._certificate is not None:
            yield self._certificate - condition.limit + _MILLISECOND  # at the limit it is not met
        if isinstance(condition, WindowCondition) and self._is_active:
            window = rule.needs.window
            yield from (each.finished_at + window for each in self._samples if each.finished_at + window > now)

    @property
    def _is_active(self) -> bool:
        return self._activity is not None or bool(self.alerts)

    def _judge_all(self, now: datetime, sample: Sample | None) -> Iterator[AlertChange]:
        for rule in self._rules.rules:
            before = self.alert_of(rule.name)
            after = self._judge(rule, before, now, sample)
            if after is not before:
                if after.is_firing and not before.is_firing:
                    after = replace(after, causes=self._causes)
                if after.status is AlertStatus.INACTIVE:
                    self.alerts.pop(rule.name, None)
                else:
                    self.alerts[rule.name] = after
                yield AlertChange(before, after)

    def _judge(self, rule: AlertRule, alert: Alert, now: datetime, sample: Sample | None) -> Alert:
        if not self._can_change(rule, alert, sample):
            return alert
        history = SampleHistory(tuple(self._select(rule)), self._counts_from)
        facts = SubjectFacts(
            certificate_expires_at=self._certificate, compared=self._compared.get(last_complete_hour(now))
        )
        verdict = judge_rule(rule, alert, history, facts, now)
        return advance(alert, verdict, now, rule.minimum_duration)

    def _select(self, rule: AlertRule) -> list[Sample]:
        """Return the samples on which the verdict depends. perf: fewer than the condition would read."""
        series = self._series.get(rule.name)
        if series is None or not isinstance(rule.when, SampleCondition):
            return self._samples
        in_a_row = (~series.bits & (series.bits + 1)).bit_length() - 1
        count = max(rule.opening.window, rule.close_after or 0, in_a_row + 1)
        counted = [sample for sample in self._samples if rule.counts(sample)]
        return counted[-count:]

    def _can_change(self, rule: AlertRule, alert: Alert, sample: Sample | None) -> bool:
        """perf: most runs change nothing, and a judgement costs 100 times as much as this."""
        condition = rule.when
        if isinstance(condition, SampleCondition):
            if sample is not None and not self._count(rule, condition, sample):
                return alert.status is AlertStatus.PENDING
            series = self._series.get(rule.name)
            if series is None:
                return False
            is_met = is_met_by(series, alert.is_firing, rule.thresholds)
            return alert.status is AlertStatus.PENDING or is_met != alert.is_firing
        if isinstance(condition, WindowCondition):
            return self._is_active
        if isinstance(condition, SlowerThanUsualCondition):
            return sample is None and bool(self._ends)
        return isinstance(condition, CertificateDaysCondition)

    def _count(self, rule: AlertRule, condition: SampleCondition, sample: Sample) -> bool:
        """Add a sample to the series of a rule. Return whether the rule counts it."""
        if not rule.counts(sample):
            return False
        if self._counts_from is not None and sample.due_at < self._counts_from:
            return False
        series = self._series.get(rule.name, Series())
        if series.newest is not None and sample.position <= series.newest:
            counted = rule.select_counted(SampleHistory(tuple(self._samples), self._counts_from))
            series = series_of([(each, condition.is_bad(each)) for each in counted.samples], MAX_WINDOW)
        else:
            series = series.add(sample, condition.is_bad(sample), MAX_WINDOW)
        self._series[rule.name] = series
        return True

    def _hold(self, sample: Sample) -> None:
        samples = self._samples
        if samples and sample.position <= samples[-1].position:
            if any(held.position == sample.position for held in samples):
                return
            samples.append(sample)
            samples.sort(key=lambda held: held.position)
        else:
            samples.append(sample)
        if len(samples) > 2 * MAX_WINDOW:
            begin = sample.finished_at - self._rules.needs.window
            recent = len(samples) - MAX_WINDOW
            self._samples = [held for at, held in enumerate(samples) if at >= recent or held.finished_at > begin]


_NONE: Mapping[Trigger, Sample] = {}


class GroupAlerts:
    """`alerts`: those that are not inactive, by rule."""

    def __init__(self, name: str, rules: GroupRules) -> None:
        self._name = name
        self._group = rules.group
        self._members = rules.members
        self._latest: dict[str, dict[Trigger, Sample]] = {}
        """By job, the newest sample of each trigger."""
        self._paused: set[str] = set()
        self._counts_from: dict[str, datetime] = {}
        self.alerts: dict[str, Alert] = {}

    def add(self, job: str, sample: Sample) -> list[AlertChange]:
        """Judge the rules after a run of a job. One from before the end of a pause does not count."""
        since = self._counts_from.get(job)
        if sample.is_unknown or job in self._paused or (since is not None and sample.due_at < since):
            return []
        latest = self._latest.setdefault(job, {})
        known = latest.get(sample.trigger)
        if known is not None and sample.position <= known.position:
            return []
        latest[sample.trigger] = sample
        if known is not None and (known.is_failed, known.is_degraded) == (sample.is_failed, sample.is_degraded):
            return []
        return self.judge(sample.finished_at)

    def pause(self, job: str, at: datetime) -> list[AlertChange]:
        """A job that is paused is not counted."""
        self._latest.pop(job, None)
        self._paused.add(job)
        return self.judge(at)

    def resume(self, job: str, at: datetime) -> None:
        """`at`: the end of the pause."""
        self._paused.discard(job)
        self._counts_from[job] = at

    def judge(self, now: datetime) -> list[AlertChange]:
        from jobs.alerting.groups import judge_group  # with the model of groups, which most programs do not need

        changes = []
        for rule in self._group.alerts:
            before = self.alerts.get(rule.name) or Alert(self._name, rule.name)
            members = {job: self._is_bad(job, rule) for job in self._members}
            after = advance(before, judge_group(self._group, members), now, rule.minimum_duration)
            if after is before:
                continue
            if after.status is AlertStatus.INACTIVE:
                self.alerts.pop(rule.name, None)
            else:
                self.alerts[rule.name] = after
            changes.append(AlertChange(before, after))
        return changes

    def _is_bad(self, job: str, rule: AlertRule) -> bool | None:
        counted = [each for trigger, each in self._latest.get(job, _NONE).items() if trigger in rule.triggers]
        newest = max(counted, key=lambda each: each.position, default=None)
        return None if newest is None else rule.when.is_bad(newest)

    def next_due(self, now: datetime) -> datetime | None:
        """Return the next instant at which an alert fires if nothing changes."""
        durations = {rule.name: rule.minimum_duration for rule in self._group.alerts}
        moments = [fires_at(alert, durations[rule]) for rule, alert in self.alerts.items()]
        return min((moment for moment in moments if moment is not None and moment > now), default=None)

    def settle(self, rule: str) -> None:
        self.alerts.pop(rule, None)
