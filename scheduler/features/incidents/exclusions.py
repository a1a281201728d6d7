"""Reads what is excluded from uptime and objectives by time: blindness of the scheduler, and maintenance windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice

from jobs.alerting.rule import MAX_ALERT_TIME
from jobs.definition import JobDefinition
from jobs.incidents.downtime import ExcludedTime, ExclusionReason, list_blind_times, needs_transitions
from jobs.incidents.engine.facts import SCHEDULER
from jobs.incidents.suppression.finding import SuppressionSet, list_window_times
from jobs.incidents.suppression.spans import Span
from jobs.incidents.suppression.windows import AlertSubject, RequestedWindow
from jobs.incidents.values import Incident, Transition
from scheduler.catalog.catalog import Catalog, CatalogJob, Query
from scheduler.features.incidents.visibility import SubjectVisibility
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.alerting.suppressions import StoredSuppressions

MAX_INCIDENTS_READ = 1000
"""Of a job and of the scheduler each, the newest. With more, the result is not complete; likewise for the others."""
MAX_TRANSITIONS_READ = 5000
MAX_WINDOWS_READ = 5000
MAX_WINDOW_TIMES = 5000
_INCIDENTS_AT_ONCE = 100
_ROWS_AT_ONCE = 500
_LATEST_BEGIN = timedelta(seconds=MAX_ALERT_TIME)
"""An alert can fire so long after it began to fail."""


@dataclass(frozen=True, slots=True)
class ReadExclusions:
    """`is_complete`: nothing of the period was omitted."""

    times: tuple[ExcludedTime, ...] = ()
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class CommonExclusions:
    """`requested`: windows of users and pipelines, also those that have ended."""

    blind: ReadExclusions
    requested: Sequence[RequestedWindow]
    has_all_requested: bool


class ExclusionReader(Query):
    """All methods that await raise StoreError."""

    def __init__(self, catalog: Catalog, log: IncidentLog, windows: StoredSuppressions[RequestedWindow]) -> None:
        self._catalog = catalog
        self._log = log
        self._windows = windows

    async def read_uncounted(self, entries: Iterable[CatalogJob], period: Span) -> Mapping[str, ReadExclusions]:
        """Return by job when its runs do not count: windows with `counts: false`, times of a blind scheduler."""
        common = await self.read_common(period)
        return {entry.job.name: self.list_uncounted(entry.job, period, common) for entry in entries}

    async def read_common(self, period: Span) -> CommonExclusions:
        """Return what all jobs have in common."""
        return CommonExclusions(await self.read_blind_times(period), *await self.list_requested())

    def list_uncounted(self, job: JobDefinition, period: Span, common: CommonExclusions) -> ReadExclusions:
        """Return when the runs of a job do not count."""
        windows = self.list_window_times(job, period, (common.requested, common.has_all_requested))
        times = (each for each in windows.times if each.reason is ExclusionReason.WINDOW)
        return ReadExclusions((*common.blind.times, *times), common.blind.is_complete and windows.is_complete)

    async def read_blind_times(self, period: Span) -> ReadExclusions:
        visibility = SubjectVisibility(self._catalog)
        incidents, is_complete = await self.list_incidents(SCHEDULER, period)
        times: list[ExcludedTime] = []
        for incident in incidents:
            transitions, is_whole = await self.list_transitions(SCHEDULER, incident)
            is_complete = is_complete and is_whole
            times += list_blind_times(incident, transitions, period.end)
        return ReadExclusions(tuple(replace(each, text=visibility.hide(each.text)) for each in times), is_complete)

    def list_window_times(
        self, job: JobDefinition, period: Span, requested: tuple[Sequence[RequestedWindow], bool]
    ) -> ReadExclusions:
        """`requested`: see list_requested."""
        windows, is_complete = requested
        suppressions = SuppressionSet(self._catalog.snapshot.alerting.windows, tuple(windows))
        found = list(islice(_list_window_times(job, suppressions, period), MAX_WINDOW_TIMES + 1))
        return ReadExclusions(tuple(found[:MAX_WINDOW_TIMES]), is_complete and len(found) <= MAX_WINDOW_TIMES)

    async def list_requested(self) -> tuple[Sequence[RequestedWindow], bool]:
        """Return the windows that were requested, also those that have ended, and whether these are all."""
        by_id = {each.id: each for each in await self._windows.list_current()}
        after: str | None = ""
        while after is not None and len(by_id) < MAX_WINDOWS_READ:
            page = await self._windows.list_page(ended=True, limit=_ROWS_AT_ONCE, after=after)
            by_id.update((each.value.id, each.value) for each in page.found)
            after = page.continuation
        return tuple(by_id.values()), after is None

    async def list_incidents(self, subject: str, period: Span) -> tuple[Sequence[Incident], bool]:
        """Return the incidents of a subject that can concern a period, and whether these are all.

        One that began long before it can be open still, so that all earlier ones are read, the newest first.
        """
        incidents: list[Incident] = []
        after, read = "", 0
        while read < MAX_INCIDENTS_READ:
            page = await self._log.list_page(
                subject=subject, until=period.end + _LATEST_BEGIN, limit=_INCIDENTS_AT_ONCE, after=after
            )
            read += len(page.incidents)
            incidents += [
                each for each in page.incidents if each.resolved_at is None or each.resolved_at > period.begin
            ]
            after = page.continuation
            if not after:
                return incidents, True
        return incidents, False

    async def list_transitions(self, subject: str, incident: Incident) -> tuple[Sequence[Transition], bool]:
        """Return the transitions of an incident if they are needed, and whether these are all."""
        transitions: list[Transition] = []
        if not needs_transitions(subject, incident):
            return transitions, True
        after = ""
        while len(transitions) < MAX_TRANSITIONS_READ:
            page = await self._log.list_transitions(incident.id, limit=_ROWS_AT_ONCE, after=after)
            transitions += page.entries
            after = page.continuation
            if not after:
                return transitions, True
        return transitions, False


def _list_window_times(job: JobDefinition, suppressions: SuppressionSet, period: Span) -> Iterator[ExcludedTime]:
    subject = AlertSubject(job.name, str(job.check.kind), "", job.tags)
    for pauses, reason in ((True, ExclusionReason.PAUSED), (False, ExclusionReason.WINDOW)):
        for window, span in list_window_times(subject, suppressions, period.begin, period.end, pauses=pauses):
            yield ExcludedTime(reason, span.begin, span.end, window.name, window.reason)
