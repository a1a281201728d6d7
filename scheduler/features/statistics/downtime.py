"""Computes the uptime of a job by time, from incidents, windows, pauses and the blindness of the scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobs.alerting.rule import AlertRule, AlertSeverity
from jobs.definition.job_alerts import rules_of
from jobs.incidents.downtime import (
    CountedFailure,
    Downtime,
    DowntimeSpan,
    ExcludedTime,
    compute_downtime,
    counts_as_downtime,
    list_failures,
    list_suspended_times,
)
from jobs.incidents.suppression.spans import Span
from jobs.incidents.suppression.windows import RequestedWindow
from jobs.ports import Clock
from jobs.runs.states import StateChange
from scheduler.catalog.catalog import Catalog, CatalogJob, Query
from scheduler.features.incidents.exclusions import ExclusionReader
from scheduler.features.incidents.visibility import SubjectVisibility
from scheduler.features.statistics.models import DowntimeModel, DowntimeSpanModel, ExclusionModel
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.alerting.suppressions import StoredSuppressions
from scheduler.stores.changes import StateChanges

MAX_CHANGES_READ = 5000
"""With more, the result is not complete."""
_ROWS_AT_ONCE = 500


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


class DowntimeReader(Query):
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
        self._changes = changes
        self._excluded = ExclusionReader(catalog, log, windows)
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
        downtime = compute_downtime(
            (each for reading in readings for each in reading.failures),
            (each for reading in readings for each in reading.exclusions),
            period.begin,
            period.end,
        )
        hidden = frozenset().union(*(reading.hidden for reading in readings))
        is_stored = period.begin >= now - timedelta(seconds=self._age)
        return JobDowntime(
            job,
            replace(downtime, spans=tuple(_hide(span, hidden) for span in downtime.spans)),
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
        incidents, is_complete = await self._excluded.list_incidents(job, period)
        failures: list[CountedFailure] = []
        for incident in incidents:
            transitions, is_whole = await self._excluded.list_transitions(job, incident)
            is_complete = is_complete and is_whole
            failures += list_failures(job, incident, transitions, rules, self._severities)
        if (begin := self._catalog.begin_of(job)) is not None:
            failures = [
                replace(each, begin=max(each.begin, begin)) for each in failures if each.end is None or each.end > begin
            ]
        hidden = frozenset(each.id for each in incidents if visibility.show_incident(each) is None)
        return _DowntimeReading(tuple(failures), (), hidden, is_complete)

    async def _read_blind_times(self, period: Span) -> _DowntimeReading:
        found = await self._excluded.read_blind_times(period)
        return _DowntimeReading((), found.times, is_complete=found.is_complete)

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
        found = self._excluded.list_window_times(entry.job, period, await self._excluded.list_requested())
        return _DowntimeReading((), found.times, is_complete=found.is_complete)


def _hide(span: DowntimeSpan, hidden: frozenset[str]) -> DowntimeSpan:
    return replace(span, incidents=tuple(each for each in span.incidents if each not in hidden))


def view_downtime(measured: JobDowntime) -> DowntimeModel:
    """Return a downtime with its uptime as a ratio of 6 digits."""
    downtime, uptime = measured.downtime, measured.uptime
    return DowntimeModel.from_object(
        downtime,
        job=measured.job,
        uptime=None if uptime is None else round(uptime, 6),
        complete=measured.is_complete,
        rules=list(measured.rules),
        spans=[
            DowntimeSpanModel.from_object(span, since=span.begin, until=span.end, open=span.is_open)
            for span in downtime.spans
        ],
        excluded=list(map(view_exclusion, downtime.exclusions)),
    )


def view_exclusion(excluded: ExcludedTime) -> ExclusionModel:
    """Return a time that does not count."""
    return ExclusionModel.from_object(excluded, since=excluded.begin, until=excluded.end)
