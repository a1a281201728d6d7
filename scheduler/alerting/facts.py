"""What a pass of the engine knows of definitions, suppressions and routes at one instant: implements AlertFacts.

    DefinedFacts(book, now, alerts=state.alerts, suppressions=..., routing=..., pauses=..., last_due=...)

Made for each pass of the engine, and by replays. Answers are cached, because a pass needs them repeatedly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from jobs.alerting.alert import Alert
from jobs.incidents.engine.facts import GROUP_WAIT, SCHEDULER, AlertPolicy, DueChannel
from jobs.incidents.routing import RoutingResult, RoutingTable, channels_of
from jobs.incidents.suppression.finding import SuppressionSet, find_suppression
from jobs.incidents.suppression.windows import AlertSubject
from jobs.incidents.values import AlertKey, Incident, Suppression, SuppressionKind
from scheduler.alerting.first_runs import FirstRuns
from scheduler.alerting.rule_book import RuleBook

LastDue = Callable[[str], datetime | None]
"""Returns the due instant of the newest finished run of a job that is known."""


class DefinedFacts:
    """`pauses`: by job, what holds back its notifications because it is paused."""

    def __init__(
        self,
        book: RuleBook,
        now: datetime,
        *,
        alerts: Iterable[Alert] = (),
        suppressions: SuppressionSet | None = None,
        routing: RoutingTable | None = None,
        pauses: Mapping[str, Suppression] | None = None,
        last_due: LastDue = lambda job: None,
        first_runs: FirstRuns | None = None,
        group_wait: timedelta = GROUP_WAIT,
    ) -> None:
        self._book = book
        self._now = now
        self._group_wait = group_wait
        self._alerts = {AlertKey(alert.subject, alert.rule): alert for alert in alerts}
        self._suppressions = SuppressionSet() if suppressions is None else suppressions
        self._routing = RoutingTable() if routing is None else routing
        self._pauses = {} if pauses is None else pauses
        self._last_due = last_due
        self._first_runs = first_runs
        self._found: dict[AlertKey, Suppression | None] = {}

    @property
    def now(self) -> datetime:
        return self._now

    @property
    def group_wait(self) -> timedelta:
        return self._group_wait

    def policy_of(self, key: AlertKey) -> AlertPolicy | None:
        return self._book.policy_of(key)

    def parents_of(self, subject: str) -> Sequence[str]:
        return self._book.parents_of(subject)

    def is_checked_since(self, subject: str, since: datetime) -> bool:
        """A group is checked when its members are. What does not run by itself is not waited for."""
        return all(self._is_job_checked(job, since) for job in self._book.jobs_of(subject))

    @property
    def started_at(self) -> datetime | None:
        return None if self._first_runs is None else self._first_runs.started_at

    def first_run_end(self, subject: str, *, is_missed: bool = False) -> datetime | None:
        """That of a group is the latest one of its members. What is paused or never runs is not waited for."""
        runs, now, jobs = self._first_runs, self._now, self._book.snapshot
        if runs is None:
            return None
        names = [each for each in self._book.jobs_of(subject) if each not in self._pauses]
        ends = (runs.find_end(jobs, each, now, is_missed=is_missed) for each in names)
        return max((end for end in ends if end is not None), default=None)

    def causes_of(self, key: AlertKey) -> Sequence[str]:
        alert = self._alerts.get(key)
        return () if alert is None else alert.causes

    def suppression_of(self, key: AlertKey) -> Suppression | None:
        if key not in self._found:
            self._found[key] = self._find_suppression(key)
        return self._found[key]

    def channels_of(self, incident: Incident) -> Sequence[str | DueChannel]:
        """Return the channels of the rules of its members, and those of the routes for members whose rules name none.

        Routes are matched by the lead with the highest severity, and by further rules of a job with their own severity.

        Members that a parent explains add none. The incident of the scheduler, without a route for it, has the channels
        of all rules: it is about everything.
        """
        open_members = incident.open_members or (incident.lead_member,)
        members = [each for each in open_members if not each.parent] or [incident.lead_member]
        channels: dict[str, datetime | None] = {}
        routed = []
        for member in members:
            policy = self.policy_of(member.key)
            if policy is not None and policy.channels:
                channels.update(dict.fromkeys(policy.channels))
            else:
                routed.append(member)
        results = [self.route(incident)] if routed else []
        rules = Counter(member.key.subject for member in members)
        for subject, severity in dict.fromkeys((each.key.subject, each.severity) for each in routed):
            if rules[subject] > 1:
                results.append(self._route(self._book.describe(subject, severity)))
        for each in (channel for result in results for channel in result.notified):
            if each.channel not in channels or each.due_at is None:
                channels[each.channel] = each.due_at
        if not channels and incident.lead.subject == SCHEDULER:
            return self._book.all_channels
        return tuple(DueChannel(channel, due_at) for channel, due_at in channels.items())

    def route(self, incident: Incident) -> RoutingResult:
        """Return the result of the routes for an incident: for its lead, with its highest severity."""
        return self._route(self._book.describe(incident.lead.subject, incident.worst_severity))

    def _route(self, subject: AlertSubject) -> RoutingResult:
        return channels_of(subject, self._routing, self._now)

    def _is_job_checked(self, job: str, since: datetime) -> bool:
        last = self._last_due(job)
        if last is not None and last >= since:
            return True
        return self._book.snapshot.schedule(job) is None or job in self._pauses

    def _find_suppression(self, key: AlertKey) -> Suppression | None:
        policy = self.policy_of(key)
        if policy is None:
            return None
        paused = self._pauses.get(key.subject)
        if paused is not None:
            return paused
        subject = self._book.describe(key.subject, policy.severity)
        found = find_suppression(subject, self._suppressions, self._now)
        if found is not None or policy.channels or not self._routing.routes:
            return found
        return self._route(subject).mute


def describe_pause(name: str, reason: str, until: datetime | None) -> Suppression:
    """Return what a pause holds back with. `name`: of the window, empty for a pause by an operator."""
    suppression = Suppression(SuppressionKind.WINDOW, name or "pause", reason)
    return suppression if until is None else replace(suppression, until=until)
