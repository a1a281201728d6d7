"""The alerts of one group in a replay, judged after each run of a job of the group that differs from its last one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from jobs.alerting.alert import Alert, AlertStatus, advance, fires_at
from jobs.alerting.groups import judge_group
from jobs.alerting.samples import Sample
from scheduler.alerting.replay.job_alerts import AlertChange
from scheduler.alerting.rule_book import GroupRules


class GroupAlerts:
    """`alerts`: those that are not inactive, by rule."""

    def __init__(self, name: str, rules: GroupRules) -> None:
        self._name = name
        self._group = rules.group
        self._latest: dict[str, dict[str, bool | None]] = {
            rule.name: dict.fromkeys(rules.members) for rule in rules.group.alerts
        }
        self._positions: dict[str, tuple[datetime, str]] = {}
        self.alerts: dict[str, Alert] = {}

    def add(self, job: str, sample: Sample) -> list[AlertChange]:
        """Judge the rules after a run of a job."""
        if job in self._positions and sample.position <= self._positions[job]:
            return []
        self._positions[job] = sample.position
        is_changed = False
        for rule in self._group.alerts:
            is_bad = rule.when.is_bad(sample)
            if sample.trigger in rule.triggers and self._latest[rule.name][job] != is_bad:
                self._latest[rule.name][job] = is_bad
                is_changed = True
        return self.judge(sample.finished_at) if is_changed else []

    def forget(self, job: str, at: datetime) -> list[AlertChange]:
        """A job that is paused is not counted before its next run."""
        for members in self._latest.values():
            members[job] = None
        return self.judge(at)

    def judge(self, now: datetime) -> list[AlertChange]:
        found = []
        for rule in self._group.alerts:
            before = self.alerts.get(rule.name) or Alert(self._name, rule.name)
            members: Mapping[str, bool | None] = self._latest[rule.name]
            after = advance(before, judge_group(self._group, members), now, rule.minimum_duration)
            if after is before:
                continue
            if after.status is AlertStatus.INACTIVE:
                self.alerts.pop(rule.name, None)
            else:
                self.alerts[rule.name] = after
            found.append(AlertChange(before, after))
        return found

    def next_due(self, now: datetime) -> datetime | None:
        """Return the next instant at which an alert fires if nothing changes."""
        durations = {rule.name: rule.minimum_duration for rule in self._group.alerts}
        moments = [fires_at(alert, durations[rule]) for rule, alert in self.alerts.items()]
        return min((moment for moment in moments if moment is not None and moment > now), default=None)

    def settle(self, rule: str) -> None:
        self.alerts.pop(rule, None)
