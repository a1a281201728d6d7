"""Runs a replay: from event to event in virtual time, each in the way of the live program.

    found = replay(definitions, given)
    found.incidents["1764300180000-1b2c3d4e"].notifications

An event is the end of a run, an instant at which time alone changes an alert, what a person did, or an instant at which
a pass of the engine is due. After an alert has changed, a pass runs, at most one in PASS_INTERVAL.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import itemgetter

from jobs.alerting.alert import Alert, AlertStatus
from jobs.incidents.engine.facts import MAX_PARENT_WAIT
from jobs.incidents.suppression.finding import counts_as_sample
from jobs.incidents.values import AlertKey, Member, Suppression
from jobs.runs import Trigger
from scheduler.alerting.causes import SeenCauses, find_causes
from scheduler.alerting.engine_runner import IDLE_INTERVAL
from scheduler.alerting.facts import DefinedFacts
from scheduler.alerting.replay.alerts import AlertChange, GroupAlerts, JobAlerts
from scheduler.alerting.replay.history import (
    JobHistory,
    KnownCertificate,
    PauseSpan,
    RecordedAction,
    RecordedFiring,
    ReplayDefinitions,
    ReplayedIncident,
    ReplayedIncidents,
    ReplayInput,
    ReplayRun,
)


class ReplayedSubjects:
    """`pauses`: what holds back the notifications of paused jobs."""

    def __init__(self, definitions: ReplayDefinitions, given: ReplayInput) -> None:
        self._definitions = definitions
        self._book = definitions.book
        self._jobs: dict[str, JobAlerts] = {}
        self._groups = {name: GroupAlerts(name, rules) for name, rules in self._book.groups.items()}
        self._compared = {each.job: each.compared for each in given.histories if each.compared}
        self._touched: set[str] = {*self._compared}
        self._newest: dict[str, ReplayRun] = {}
        self._seen = SeenCauses()
        self.now = given.begin
        self.pauses: dict[str, Suppression] = {}
        windows = (*definitions.suppressions.windows, *(each.window for each in definitions.suppressions.requested))
        self._has_excluded_time = any(not window.counts for window in windows)

    def add_run(self, job: str, run: ReplayRun) -> list[AlertChange]:
        self._observe(job, run)
        counts = run.sample is None or self._counts(job, run)
        changes = self._job(job).add(run, counts=counts)
        if run.sample is not None and counts:
            for name in self._book.groups_by_job.get(job, ()):
                changes += self._groups[name].add(job, run.sample)
                self._touched.add(name)
        self._touched.add(job)
        return changes

    def pause(self, job: str, pause: PauseSpan, now: datetime) -> list[AlertChange]:
        """Begin or end a pause."""
        if pause.end is not None and pause.end <= now:
            self.pauses.pop(job, None)
            self._job(job).resume(pause.end)
            for name in self._book.groups_by_job.get(job, ()):
                self._groups[name].resume(job, pause.end)
            return []
        self.pauses[job] = pause.suppression
        changes = []
        for name in self._book.groups_by_job.get(job, ()):
            changes += self._groups[name].pause(job, now)
            self._touched.add(name)
        return changes

    def learn_certificate(self, job: str, certificate: KnownCertificate) -> list[AlertChange]:
        self._touched.add(job)
        return self._job(job).learn_certificate(certificate.expires_at, certificate.at)

    def take_touched(self) -> set[str]:
        """Return the subjects whose next instant may have changed since the last call."""
        touched, self._touched = self._touched, set()
        return touched

    def next_due(self, subject: str, now: datetime) -> datetime | None:
        group = self._groups.get(subject)
        return self._job(subject).next_due(now) if group is None else group.next_due(now)

    def judge_time(self, subject: str, now: datetime) -> list[AlertChange]:
        self._touched.add(subject)
        group = self._groups.get(subject)
        return self._job(subject).judge_time(now) if group is None else group.judge(now)

    def settle(self, key: AlertKey) -> None:
        group = self._groups.get(key.subject)
        if group is None:
            self._job(key.subject).settle(key.rule)
        else:
            group.settle(key.rule)

    def last_due(self, job: str) -> datetime | None:
        found = self._jobs.get(job)
        return None if found is None else found.last_due

    def list_seen(self, cause: str) -> Sequence[str]:
        """Implements Siblings."""
        return self._seen.list_jobs(cause)

    def is_good_since(self, job: str, since: datetime) -> bool:
        """Runs that could not change an alert may be missing: a job whose newest run is good was good since."""
        run = self._newest.get(job)
        if run is None or run.sample is None or not run.sample.is_good:
            return False
        schedule = self._book.snapshot.schedule(job)
        due = run.due_at if run.due_at >= since or schedule is None else schedule.next_after(since - _MICROSECOND)
        return due is not None and due >= since and due + (run.finished_at - run.due_at) <= self.now

    def _observe(self, job: str, run: ReplayRun) -> None:
        newest, sample = self._newest.get(job), run.sample
        if sample is not None and sample.trigger in (Trigger.BACKFILL, Trigger.REPLAY):
            return
        if newest is None or run.due_at > newest.due_at:
            self._newest[job] = run
            if sample is not None:
                self._seen.add(job, sample.address, sample.certificate)

    def causes_of(self, subject: str) -> tuple[str, ...]:
        entry = self._book.snapshot.find_job(subject)
        return () if entry is None else find_causes(entry.job, None)

    def _job(self, name: str) -> JobAlerts:
        found = self._jobs.get(name)
        if found is None:
            found = self._jobs[name] = JobAlerts(
                name, self._book.rules_of(name), self.causes_of(name), self._compared.get(name, {})
            )
        return found

    def _counts(self, job: str, run: ReplayRun) -> bool:
        if not self._has_excluded_time:
            return True
        suppressions = self._definitions.suppressions_at(run.finished_at)
        return counts_as_sample(self._book.describe(job), suppressions, run.due_at)


_MICROSECOND = timedelta(microseconds=1)
PASS_INTERVAL = timedelta(seconds=1)
_IDLE_INTERVAL = timedelta(seconds=IDLE_INTERVAL)
_Payload = ReplayRun | PauseSpan | KnownCertificate | RecordedFiring | RecordedAction
_Event = tuple[datetime, str, _Payload]
_instant = itemgetter(0)


@dataclass(frozen=True, slots=True)
class ReplayedAlerting:
    """`incidents`: by id. `changes`: of alerts, with their instants. `alerts`: those that are active at the end."""

    incidents: Mapping[str, ReplayedIncident]
    changes: tuple[tuple[datetime, Alert], ...]
    alerts: tuple[Alert, ...]


def replay(definitions: ReplayDefinitions, given: ReplayInput) -> ReplayedAlerting:
    """Return the incidents of the time from `given.begin` to `given.end`."""
    return _Replay(definitions, given).run()


class _Replay:
    def __init__(self, definitions: ReplayDefinitions, given: ReplayInput) -> None:
        self._definitions = definitions
        self._given = given
        self._subjects = ReplayedSubjects(definitions, given)
        self._incidents = ReplayedIncidents()
        self._alerts: dict[AlertKey, Alert] = {}
        self._changes: list[tuple[datetime, Alert]] = []
        self._timed: list[tuple[datetime, str]] = []
        self._timed_of: dict[str, datetime] = {}
        self._pass_at: datetime | None = None
        self._last_pass = given.begin - PASS_INTERVAL
        self._now = given.begin

    def run(self) -> ReplayedAlerting:
        events = sorted(_list_events(self._given), key=_instant)
        position = 0
        self._take([])
        while True:
            following = events[position][0] if position < len(events) else None
            moment = min((each for each in (following, self._next_timed(), self._pass_at) if each), default=None)
            if moment is None or moment > self._given.end:
                break
            self._now = moment
            while position < len(events) and events[position][0] <= moment:
                self._apply(*events[position][1:])
                position += 1
            self._judge_due(moment)
            if self._pass_at is not None and self._pass_at <= moment:
                self._run_pass()
        return ReplayedAlerting(self._incidents.found, tuple(self._changes), tuple(self._alerts.values()))

    def _apply(self, subject: str, payload: _Payload) -> None:
        match payload:
            case ReplayRun():
                self._take(self._subjects.add_run(subject, payload))
            case PauseSpan():
                self._take(self._subjects.pause(subject, payload, self._now))
                self._request_pass()
            case KnownCertificate():
                self._take(self._subjects.learn_certificate(subject, payload))
            case RecordedFiring():
                self._take([self._change_recorded(payload)])
            case RecordedAction():
                self._incidents.act(payload)
                self._request_pass()

    def _change_recorded(self, firing: RecordedFiring) -> AlertChange:
        key = firing.key
        before = self._alerts.get(key) or Alert(key.subject, key.rule)
        if firing.resolved_at is not None and firing.resolved_at <= self._now:
            return AlertChange(before, replace(before, status=AlertStatus.RESOLVED, changed_at=self._now))
        fired = Alert(
            key.subject,
            key.rule,
            AlertStatus.FIRING,
            before.number + 1,
            changed_at=self._now,
            failing_since=firing.failing_since,
            evidence=firing.evidence,
            causes=self._subjects.causes_of(key.subject),
        )
        return AlertChange(before, fired)

    def _take(self, changes: list[AlertChange]) -> None:
        for change in changes:
            alert = change.after
            key = AlertKey(alert.subject, alert.rule)
            if alert.status is AlertStatus.INACTIVE:
                self._alerts.pop(key, None)
            else:
                self._alerts[key] = alert
            self._changes.append((self._now, alert))
            self._request_pass()
        for subject in self._subjects.take_touched():
            self._schedule(subject)

    def _schedule(self, subject: str) -> None:
        known = self._timed_of.get(subject)
        if known is not None and known <= self._now:
            return  # it is judged at this instant, and scheduled again then
        moment = self._subjects.next_due(subject, self._now)
        if moment is not None and known != moment:
            self._timed_of[subject] = moment
            heapq.heappush(self._timed, (moment, subject))

    def _next_timed(self) -> datetime | None:
        while self._timed and self._timed_of.get(self._timed[0][1]) != self._timed[0][0]:
            heapq.heappop(self._timed)
        return self._timed[0][0] if self._timed else None

    def _judge_due(self, now: datetime) -> None:
        while (moment := self._next_timed()) is not None and moment <= now:
            _, subject = heapq.heappop(self._timed)
            del self._timed_of[subject]
            self._take(self._subjects.judge_time(subject, now))

    def _request_pass(self) -> None:
        moment = max(self._now, self._last_pass + PASS_INTERVAL)
        self._pass_at = moment if self._pass_at is None else min(self._pass_at, moment)

    def _run_pass(self) -> None:
        now, subjects = self._now, self._subjects
        subjects.now = now
        facts = DefinedFacts(
            self._definitions.book,
            now,
            alerts=self._alerts.values(),
            suppressions=self._definitions.suppressions_at(now),
            routing=self._definitions.routing,
            pauses=subjects.pauses,
            last_due=subjects.last_due,
            group_wait=self._definitions.group_wait,
            siblings=subjects,
        )
        result = self._incidents.run_pass(self._alerts.values(), facts)
        for key in result.settled:
            del self._alerts[key]
            subjects.settle(key)
        self._last_pass = now
        self._pass_at = self._find_next_pass(facts)

    def _find_next_pass(self, facts: DefinedFacts) -> datetime | None:
        # What no route matches now can be matched later, when the time of a route begins.
        waiting = self._incidents.unannounced()
        moments = [self._incidents.due_at, *(facts.route(incident).changes_at for incident in waiting)]
        if self._waits_for_runs():
            moments.append(self._now + _IDLE_INTERVAL)
        return min((each for each in moments if each is not None and each > self._now), default=None)

    def _waits_for_runs(self) -> bool:
        """Return whether a run that changes no alert can change what is decided: of a parent, or after blindness."""
        members = {each.key: each for incident in self._incidents.open for each in incident.open_members}
        failing = {alert.subject for alert in self._alerts.values() if alert.is_firing}
        begin = self._now - MAX_PARENT_WAIT
        return any(
            alert.is_firing and self._can_change_by_runs(alert, members.get(key), failing, begin)
            for key, alert in self._alerts.items()
        )

    def _can_change_by_runs(
        self, alert: Alert, member: Member | None, failing: Collection[str], begin: datetime
    ) -> bool:
        if member is not None:
            return bool(member.parent) and member.parent not in failing
        return bool(self._definitions.book.parents_of(alert.subject)) and (alert.changed_at or begin) > begin


def _list_events(given: ReplayInput) -> Iterator[_Event]:
    for history in given.histories:
        yield from _list_events_of(history)
    for firing in given.firings:
        yield max(firing.fired_at, given.begin), firing.key.subject, firing
        if firing.resolved_at is not None:
            yield max(firing.resolved_at, given.begin), firing.key.subject, firing
    for action in given.actions:
        yield action.at, action.lead.subject, action


def _list_events_of(history: JobHistory) -> Iterator[_Event]:
    for run in history.runs:
        yield run.finished_at, history.job, run
    for pause in history.pauses:
        yield pause.begin, history.job, pause
        if pause.end is not None:
            yield pause.end, history.job, pause
    for certificate in history.certificates:
        yield certificate.at, history.job, certificate
