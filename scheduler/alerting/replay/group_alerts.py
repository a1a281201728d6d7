"""The alerts of one group in a replay, judged after each run of a job of the group that differs from its last one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from jobs.alerting.alert import Alert, AlertStatus, advance, fires_at
from jobs.alerting.facts import Sample
from jobs.alerting.groups import judge_group
from jobs.alerting.rule import AlertRule
from jobs.runs.outcomes import Trigger
from scheduler.alerting.replay.job_alerts import AlertChange
from scheduler.alerting.rule_book import GroupRules

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
        if job in self._paused or (since is not None and sample.due_at < since):
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
        found = []
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
            found.append(AlertChange(before, after))
        return found

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
