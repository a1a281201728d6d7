"""What a pass of the engine knows of definitions, suppressions and routes at one instant: implements AlertFacts.

    DefinedFacts(book, now, alerts=state.alerts, suppressions=..., routing=..., pauses=..., last_due=...)

Made for each pass of the engine, and by replays. Answers are cached, because a pass needs them repeatedly.

Before a job has run since the scheduler started, an alert describes its target as it was. A start is the first tick
after a gap in which the scheduler did not run, which the host records: each start of an embedded process, and on
Functions, where processes start often, a tick after ticks have been missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Protocol

from jobs.alerting.alert import Alert
from jobs.incidents.engine.facts import GROUP_WAIT, SCHEDULER, AlertPolicy, DueChannel, ancestors_of, first_runs_end
from jobs.incidents.rotas import Rota
from jobs.incidents.routes import RoutingResult, RoutingTable, channels_of
from jobs.incidents.suppression.finding import SuppressionSet, find_suppression
from jobs.incidents.suppression.windows import AlertSubject, RequestedWindow, Silence
from jobs.incidents.values import AlertKey, Incident, SharedCause, Suppression, SuppressionKind
from scheduler.alerting.evaluation.silent_jobs import DueTimes, longest_run
from scheduler.alerting.rule_book import RuleBook
from scheduler.catalog.catalog import JobSnapshot
from scheduler.stores.alerting.engine import EngineState, run_sized
from scheduler.stores.alerting.suppressions import StoredSuppressions
from scheduler.stores.gates import Pauses
from scheduler.stores.schedules import Cursors

MAX_FIRST_WAIT = timedelta(minutes=15)
"""After a start, for the first run of a job that is due later, or does not run."""
_VERDICT_TIME = timedelta(seconds=2)
"""From the end of a run until its verdict is stored, at least."""


class FirstRuns:
    """`shares_runs`: other processes execute runs, too."""

    def __init__(self, cursors: Cursors, due_times: DueTimes, *, shares_runs: bool) -> None:
        self._cursors = cursors
        self._due_times = due_times
        self._shares_runs = shares_runs
        self._seen: dict[str, datetime] = {}
        """When the first run of a job since the start was known to this process."""
        self.started_at: datetime | None = None

    async def read(self, now: datetime, jobs: Collection[str]) -> None:
        """Read the latest start, and the newest runs of jobs unless they have run since then. Raises StoreError."""
        started_at = await self._cursors.find_start(now)
        if started_at != self.started_at:
            self.started_at, self._seen = started_at, {}
        if started_at is None or now >= started_at + MAX_FIRST_WAIT:
            return
        missing = [job for job in jobs if job not in self._seen]
        await self._due_times.read(missing if self._shares_runs else self._due_times.list_unknown(missing))
        for job in missing:
            last = self._due_times.find(job)
            if last is not None and last >= started_at:
                self._seen[job] = now

    def find_end(self, snapshot: JobSnapshot, job: str, now: datetime, *, is_missed: bool = False) -> datetime | None:
        """Return until when the first run of a job is waited for; None if it has run, or has no run to wait for.

        `is_missed`: wait only if a run was due while the scheduler did not run.
        """
        entry, started_at = snapshot.find_job(job), self.started_at
        if entry is None or not entry.job.enabled or started_at is None:
            return None
        seen = self._seen.get(job)
        if seen is not None and now >= seen + _VERDICT_TIME:
            return None
        schedule, last = snapshot.schedule(job), self._due_times.find(job)
        end = started_at + MAX_FIRST_WAIT
        if schedule is None:
            # A job that runs after others has no due instants.
            due = started_at if entry.job.depends_on and not is_missed else None
            return None if due is None or now >= end else end
        if is_missed and last is not None and seen is None:
            missed = schedule.next_after(last)
            if missed is None or missed >= started_at:
                return None
        due = schedule.next_after(started_at)
        if due is not None:
            end = min(end, due + longest_run(entry.job) + _VERDICT_TIME)
        return end if now < end else None


class Siblings(Protocol):
    """What is known of jobs that share a cause, without delay."""

    def list_seen(self, cause: str) -> Sequence[str]:
        """Return the jobs whose newest runs show a cause that definitions do not."""
        ...

    def is_good_since(self, job: str, since: datetime) -> bool:
        """Return whether the newest run of a job was due at or after an instant, and is good."""
        ...


SIBLINGS_READ, MAX_SIBLINGS_READ = 8, 64
"""Of a cause, and of a pass: jobs whose newest run is read where other processes execute runs."""
_SHOWN_SIBLINGS = 5
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
        siblings: Siblings | None = None,
    ) -> None:
        self._book = book
        self._siblings = siblings
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

    def find_shared(self, cause: str, since: datetime) -> SharedCause:
        """A job that is paused is neither failing nor fine. Those that are disabled or removed do not share it."""
        siblings = self._siblings
        if siblings is None:
            return SharedCause(cause)
        jobs = self._book.causes.list_jobs(cause) or self._list_enabled(siblings.list_seen(cause))
        failing = sum(job in self._failing for job in jobs)
        fine = sorted(job for job in jobs if self._is_fine(job, since, siblings))
        return SharedCause(cause, failing, len(jobs), len(fine), tuple(fine[:_SHOWN_SIBLINGS]))

    def _list_enabled(self, jobs: Iterable[str]) -> Sequence[str]:
        entries = map(self._book.snapshot.find_job, jobs)
        return [each.job.name for each in entries if each is not None and each.job.enabled]

    def _is_fine(self, job: str, since: datetime, siblings: Siblings) -> bool:
        return job not in self._failing and job not in self._pauses and siblings.is_good_since(job, since)

    @cached_property
    def _failing(self) -> frozenset[str]:
        return frozenset(alert.subject for alert in self._alerts.values() if alert.is_firing)

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
        members = [member for member in open_members if not member.parent] or [incident.lead_member]
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
        for subject, severity in dict.fromkeys((member.key.subject, member.severity) for member in routed):
            if rules[subject] > 1:
                results.append(self._route(self._book.describe(subject, severity)))
        for due in (channel for result in results for channel in result.notified):
            if due.channel not in channels or due.due_at is None:
                channels[due.channel] = due.due_at
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


ReadRotas = Callable[[JobSnapshot], Awaitable[Mapping[str, Rota]]]
"""Returns the rotas that are known now, without a wait for the network."""


class DefinedFactsSource:
    """`book`: returns the rules in force. `shares_runs`: other processes execute runs, too."""

    def __init__(
        self,
        book: Callable[[], RuleBook],
        silences: StoredSuppressions[Silence],
        windows: StoredSuppressions[RequestedWindow],
        pauses: Pauses,
        due_times: DueTimes,
        read_rotas: ReadRotas,
        *,
        shares_runs: bool,
        group_wait: timedelta,
        first_runs: FirstRuns | None = None,
    ) -> None:
        self._book = book
        self._silences = silences
        self._windows = windows
        self._pauses = pauses
        self._due_times = due_times
        self._read_rotas = read_rotas
        self._shares_runs = shares_runs
        self._group_wait = group_wait
        self._first_runs = first_runs

    async def read_facts(self, now: datetime, state: EngineState) -> DefinedFacts:
        book = self._book()
        alerts = [stored.alert for stored in state.alerts]
        suppressions = await self.read_suppressions(book)
        facts = DefinedFacts(
            book,
            now,
            alerts=alerts,
            suppressions=suppressions,
            routing=RoutingTable(book.snapshot.alerting.routes, await self._read_rotas(book.snapshot)),
            pauses=await self._read_pauses(now),
            last_due=self._due_times.find,
            first_runs=self._first_runs,
            group_wait=self._group_wait,
            siblings=self._due_times,
        )
        if any(alert.is_firing for alert in alerts):
            await run_sized(len(book.snapshot), lambda: book.causes)
        await self._read_runs(alerts, state, facts)
        if self._first_runs is not None and state.open:
            subjects = {member.key.subject for incident in state.open for member in incident.open_members}
            subjects.update(alert.subject for alert in alerts if alert.is_firing)
            await self._first_runs.read(now, {job for subject in subjects for job in self._jobs_of(subject)})
        return facts

    async def find_first_runs_end(self, incident: Incident, now: datetime, *, is_missed: bool) -> datetime | None:
        """Return until when messages about an incident wait for the first runs of its jobs since the start.

        None: they do not wait. `is_missed`: only if a run was due while the scheduler did not run. Raises StoreError.
        """
        if self._first_runs is None:
            return None
        jobs = {job for member in incident.open_members for job in self._jobs_of(member.key.subject)}
        await self._first_runs.read(now, jobs)
        facts = DefinedFacts(self._book(), now, pauses=await self._read_pauses(now), first_runs=self._first_runs)
        return first_runs_end(incident, facts, is_missed=is_missed)

    async def read_suppressions(self, book: RuleBook) -> SuppressionSet:
        """Return the windows of the job files, and what was requested."""
        silences, windows = await self._silences.list_current(), await self._windows.list_current()
        return SuppressionSet(book.snapshot.alerting.windows, windows, silences)

    async def _read_pauses(self, now: datetime) -> Mapping[str, Suppression]:
        pauses = await self._pauses.list_active(now)
        return {job: describe_pause("", pause.reason, pause.until) for job, pause in pauses.items()}

    async def _read_runs(self, alerts: Iterable[Alert], state: EngineState, facts: DefinedFacts) -> None:
        """Read the newest runs of the parents of firing alerts, and of what was held back behind what is over.

        Runs of other processes are not known otherwise; those of an earlier process neither.
        """
        alerts = list(alerts)
        jobs = await run_sized(len(alerts), self._list_read, alerts, state, facts)
        jobs |= self._list_siblings(alerts, state)
        await self._due_times.read(jobs if self._shares_runs else self._due_times.list_unknown(jobs))

    def _list_read(self, alerts: Iterable[Alert], state: EngineState, facts: DefinedFacts) -> set[str]:
        members = [member for incident in state.open for member in incident.open_members]
        fired_members = {(member.key, member.fired) for member in members}
        firing = {alert.subject for alert in alerts if alert.is_firing}
        # They wait for a run that confirms them.
        subjects = {member.key.subject for member in members if member.parent and member.parent not in firing}
        for alert in alerts:
            if alert.is_firing and (AlertKey(alert.subject, alert.rule), alert.number) not in fired_members:
                subjects.update(ancestors_of(alert.subject, facts))
        return {job for subject in subjects for job in self._jobs_of(subject)}

    def _list_siblings(self, alerts: Iterable[Alert], state: EngineState) -> set[str]:
        """Return some jobs that share causes with alerts that have no incident yet, spread over those of each cause."""
        members = {member.key for incident in state.open for member in incident.open_members}
        causes = dict.fromkeys(
            cause
            for alert in alerts
            if alert.is_firing and AlertKey(alert.subject, alert.rule) not in members
            for cause in alert.causes
        )
        found: set[str] = set()
        for cause in list(causes)[:MAX_SIBLINGS_READ]:
            jobs = self._book().causes.list_jobs(cause)
            found.update(jobs[:: 1 + len(jobs) // SIBLINGS_READ])
        return set(sorted(found)[:MAX_SIBLINGS_READ])

    def _jobs_of(self, subject: str) -> tuple[str, ...]:
        book = self._book()
        return tuple(job for job in book.jobs_of(subject) if book.snapshot.find_job(job) is not None)
