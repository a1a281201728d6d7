"""Computes the uptime of a job by time, from incidents, windows, pauses and the blindness of the scheduler.

Used by the API and the commands. `scheduler.queries.uptime` counts runs instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from jobs.alerting.rule import LONGEST_ALERT_TIME, AlertRule
from jobs.alerting.severities import AlertSeverity
from jobs.definition.alerting.job_alerts import rules_of
from jobs.incidents.downtime import (
    CountedFailure,
    Downtime,
    DowntimeSpan,
    ExcludedTime,
    ExclusionReason,
    compute_downtime,
    counts_as_downtime,
    list_blind_times,
    list_failures,
    list_suspended_times,
    needs_transitions,
)
from jobs.incidents.engine.facts import SCHEDULER
from jobs.incidents.suppression.finding import SuppressionSet, list_window_times
from jobs.incidents.suppression.periods.spans import Span
from jobs.incidents.suppression.subjects import AlertSubject
from jobs.incidents.suppression.windows import RequestedWindow
from jobs.incidents.values import Incident, Transition
from jobs.ports import Clock
from jobs.runs.states import StateChange
from scheduler.catalog.catalog import Catalog, CatalogJob
from scheduler.queries.alerting.visibility import SubjectVisibility
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.changes.repository import StateChanges
from scheduler.stores.suppressions import StoredSuppressions

MAX_INCIDENTS_READ = 1000
"""Of a job and of the scheduler each, the newest. With more, the result is not complete; likewise for the others."""
MAX_TRANSITIONS_READ = 5000
MAX_CHANGES_READ = 5000
MAX_WINDOWS_READ = 5000
MAX_WINDOW_TIMES = 5000
_INCIDENTS_AT_ONCE = 100
_ROWS_AT_ONCE = 500
_LATEST_BEGIN = timedelta(seconds=LONGEST_ALERT_TIME)
"""An alert can fire so long after it began to fail."""


@dataclass(frozen=True, slots=True)
class JobDowntime:
    """`rules`: those of the job that count as downtime. `is_complete`: everything in the period was stored and read."""

    job: str
    downtime: Downtime
    rules: tuple[str, ...]
    is_complete: bool

    @property
    def uptime(self) -> float | None:
        """Return the share of the measured time, 0 to 1; None if nothing was measured, such as without a rule."""
        return self.downtime.uptime if self.rules or self.downtime.spans else None


@dataclass(frozen=True, slots=True)
class _DowntimeReading:
    """What was read for a period. `is_complete`: nothing was omitted."""

    failures: tuple[CountedFailure, ...] = ()
    exclusions: tuple[ExcludedTime, ...] = ()
    hidden: frozenset[str] = frozenset()
    """Incidents that the caller does not see."""
    is_complete: bool = True


class DowntimeReader:
    """`age`: seconds for which resolved incidents are stored."""

    def __init__(
        self,
        catalog: Catalog,
        log: IncidentLog,
        changes: StateChanges,
        windows: StoredSuppressions[RequestedWindow],
        clock: Clock,
        age: float,
    ) -> None:
        self._catalog = catalog
        self._log = log
        self._changes = changes
        self._windows = windows
        self._clock = clock
        self._age = age

    async def read_downtime(self, job: str, period: Span) -> JobDowntime:
        """Return the downtime of a period, which ends now at the latest.

        Raises:
            UnknownJob: no job has that name.
            StoreError: the store could not be read.
        """
        entry, now = self._catalog.get_job(job), self._clock.now()
        period = Span(period.begin, max(min(period.end, now), period.begin))
        readings = await asyncio.gather(
            self._read_failures(entry, period),
            self._read_blind_times(period),
            self._read_suspended_times(job, period, now),
            self._read_window_times(entry, period),
        )
        found = compute_downtime(
            (each for reading in readings for each in reading.failures),
            (each for reading in readings for each in reading.exclusions),
            period.begin,
            period.end,
        )
        hidden = frozenset().union(*(reading.hidden for reading in readings))
        is_stored = period.begin >= now - timedelta(seconds=self._age)
        return JobDowntime(
            job,
            replace(found, spans=tuple(_hide(span, hidden) for span in found.spans)),
            tuple(rule.name for rule in self._rules_of(entry) if counts_as_downtime(rule, self._severities)),
            is_stored and all(reading.is_complete for reading in readings),
        )

    @property
    def _severities(self) -> Mapping[str, AlertSeverity]:
        return self._catalog.snapshot.alerting.severities

    def _rules_of(self, entry: CatalogJob) -> tuple[AlertRule, ...]:
        return rules_of(entry.job, self._catalog.snapshot.alerting)

    async def _read_failures(self, entry: CatalogJob, period: Span) -> _DowntimeReading:
        job, visibility = entry.job.name, SubjectVisibility(self._catalog)
        rules = {rule.name: rule for rule in self._rules_of(entry)}
        incidents, is_complete = await self._list_incidents(job, period)
        failures: list[CountedFailure] = []
        for incident in incidents:
            transitions, is_whole = await self._list_transitions(job, incident)
            is_complete = is_complete and is_whole
            failures += list_failures(job, incident, transitions, rules, self._severities)
        hidden = frozenset(each.id for each in incidents if visibility.show_incident(each) is None)
        return _DowntimeReading(tuple(failures), (), hidden, is_complete)

    async def _read_blind_times(self, period: Span) -> _DowntimeReading:
        visibility = SubjectVisibility(self._catalog)
        incidents, is_complete = await self._list_incidents(SCHEDULER, period)
        found: list[ExcludedTime] = []
        for incident in incidents:
            transitions, is_whole = await self._list_transitions(SCHEDULER, incident)
            is_complete = is_complete and is_whole
            found += list_blind_times(incident, transitions, period.end)
        return _DowntimeReading(
            (), tuple(replace(each, text=visibility.hide(each.text)) for each in found), is_complete=is_complete
        )

    async def _read_suspended_times(self, job: str, period: Span, now: datetime) -> _DowntimeReading:
        """Read the changes since the beginning of the period: the oldest one has the state before it."""
        changes: list[StateChange] = []
        after = ""
        while len(changes) < MAX_CHANGES_READ:
            page = await self._changes.list_page(job, period.begin, limit=_ROWS_AT_ONCE, after=after)
            changes += page.changes
            if len(page.changes) < _ROWS_AT_ONCE:
                break
            after = page.positions[-1]
        else:
            oldest = changes[-1].at
            return _DowntimeReading((), tuple(list_suspended_times(changes, oldest, now)), is_complete=False)
        if not changes and (state := await self._changes.read_state(job)) is not None:
            changes = [state.change]
        return _DowntimeReading((), tuple(list_suspended_times(changes, period.begin, now)))

    async def _read_window_times(self, entry: CatalogJob, period: Span) -> _DowntimeReading:
        requested, is_complete = await self._list_requested()
        suppressions = SuppressionSet(self._catalog.snapshot.alerting.windows, tuple(requested))
        found = list(islice(_list_window_times(entry, suppressions, period), MAX_WINDOW_TIMES + 1))
        return _DowntimeReading(
            (), tuple(found[:MAX_WINDOW_TIMES]), is_complete=is_complete and len(found) <= MAX_WINDOW_TIMES
        )

    async def _list_requested(self) -> tuple[Sequence[RequestedWindow], bool]:
        """Return the windows that were requested, also those that have ended, and whether these are all."""
        found = {each.id: each for each in await self._windows.list_current()}
        after: str | None = ""
        while after is not None and len(found) < MAX_WINDOWS_READ:
            page = await self._windows.list_page(ended=True, limit=_ROWS_AT_ONCE, after=after)
            found.update((each.value.id, each.value) for each in page.found)
            after = page.continuation
        return tuple(found.values()), after is None

    async def _list_incidents(self, subject: str, period: Span) -> tuple[Sequence[Incident], bool]:
        """Return the incidents of a subject that can concern a period, and whether these are all.

        One that began long before it can be open still, so that all earlier ones are read, the newest first.
        """
        found: list[Incident] = []
        after, read = "", 0
        while read < MAX_INCIDENTS_READ:
            page = await self._log.list_page(
                subject=subject, until=period.end + _LATEST_BEGIN, limit=_INCIDENTS_AT_ONCE, after=after
            )
            read += len(page.incidents)
            found += [each for each in page.incidents if each.resolved_at is None or each.resolved_at > period.begin]
            after = page.continuation
            if not after:
                return found, True
        return found, False

    async def _list_transitions(self, subject: str, incident: Incident) -> tuple[Sequence[Transition], bool]:
        """Return the transitions of an incident if they are needed, and whether these are all."""
        found: list[Transition] = []
        if not needs_transitions(subject, incident):
            return found, True
        after = ""
        while len(found) < MAX_TRANSITIONS_READ:
            page = await self._log.list_transitions(incident.id, limit=_ROWS_AT_ONCE, after=after)
            found += page.entries
            after = page.continuation
            if not after:
                return found, True
        return found, False


def _list_window_times(entry: CatalogJob, suppressions: SuppressionSet, period: Span) -> Iterator[ExcludedTime]:
    job = AlertSubject(entry.job.name, str(entry.job.check.kind), "", entry.job.tags)
    for pauses, reason in ((True, ExclusionReason.PAUSED), (False, ExclusionReason.WINDOW)):
        for window, span in list_window_times(job, suppressions, period.begin, period.end, pauses=pauses):
            yield ExcludedTime(reason, span.begin, span.end, window.name, window.reason)


def _hide(span: DowntimeSpan, hidden: frozenset[str]) -> DowntimeSpan:
    return replace(span, incidents=tuple(each for each in span.incidents if each not in hidden))
