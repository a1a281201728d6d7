"""Reads the response times of whole hours, and those of the same hours of earlier days, from rollups.

What was read for an hour is held until the next one: a job with an alert is judged each minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Set
from datetime import datetime, timedelta

from jobs.alerting.comparison import ComparedHours, HoursNeed, HourSpan, ResponseHours, last_complete_hour
from jobs.definition import JobDefinition
from jobs.incidents.suppression.spans import Span
from jobs.incidents.values import Incident
from jobs.runs.histogram import Histogram
from scheduler.features.incidents.exclusions import CommonExclusions, ExclusionReader
from scheduler.stores.runs.reading import RunReads

HISTORY = timedelta(days=7)
"""Before the oldest period: a job that ran in this time has a history."""


class ComparedHoursReader:
    """Raises StoreError."""

    def __init__(self, runs: RunReads, exclusions: ExclusionReader) -> None:
        self._runs = runs
        self._exclusions = exclusions
        self._hour: datetime | None = None
        self._known: dict[tuple[str, HoursNeed], ComparedHours] = {}
        self._common: dict[datetime, asyncio.Future[CommonExclusions]] = {}

    async def read(self, job: JobDefinition, needs: Set[HoursNeed], now: datetime) -> Mapping[HoursNeed, ComparedHours]:
        """Return what is compared after the last complete hour."""
        hour = last_complete_hour(now)
        if hour != self._hour:
            self._hour, self._known, self._common = hour, {}, {}
        for need in needs:
            if (job.name, need) not in self._known:
                self._known[job.name, need] = await self._compare(job, need, hour)
        return {need: self._known[job.name, need] for need in needs}

    async def _compare(self, job: JobDefinition, need: HoursNeed, hour: datetime) -> ComparedHours:
        periods = need.list_periods(hour)
        whole = Span(periods[-1].begin, hour)
        found: dict[datetime, Histogram] = {}
        for period in periods:
            parts = await self._runs.list_rollups(job.name, period.begin, period.end)
            for part in parts:
                found.setdefault(part.start, Histogram()).merge(part.rollup.tally.response_time)
        hours = {start: times.encode() for start, times in found.items()}
        earlier = await self._runs.list_rollups(job.name, whole.begin - HISTORY, whole.begin)
        first = earlier[0].start if earlier else min(hours, default=None)
        uncounted = self._exclusions.list_uncounted(job, whole, await self._read_common(whole))
        incidents, _ = await self._exclusions.list_incidents(job.name, whole)
        spans = tuple(HourSpan(each.begin, each.end) for each in uncounted.times)
        return ResponseHours(hours, first, spans, tuple(list_incident_spans(incidents, hour))).compare(need, hour)

    async def _read_common(self, whole: Span) -> CommonExclusions:
        known = self._common.get(whole.begin)
        if known is None:
            reading = asyncio.ensure_future(self._exclusions.read_common(whole))
            known = self._common[whole.begin] = reading
            reading.add_done_callback(lambda done: self._forget_failed(whole.begin, done))
        return await asyncio.shield(known)

    def _forget_failed(self, begin: datetime, done: asyncio.Future[CommonExclusions]) -> None:
        if (done.cancelled() or done.exception() is not None) and self._common.get(begin) is done:
            del self._common[begin]


def list_incident_spans(incidents: Iterable[Incident], end: datetime) -> Iterable[HourSpan]:
    """Return when these incidents were open, up to an instant."""
    return (HourSpan(each.opened_at, each.resolved_at or max(end, each.opened_at)) for each in incidents)
