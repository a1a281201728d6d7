"""Measures objectives: the counts of a period with what is excluded, and of the windows of burn rates.

Used by scheduler.queries.objectives.reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from jobs.definition.job_alerts import NamedObjective
from jobs.incidents.downtime import CountedFailure, Downtime, ExcludedTime, compute_downtime, merge_spans
from jobs.incidents.suppression.spans import Span
from jobs.objectives import NO_COUNTS, SliCounts
from scheduler.catalog.catalog import Catalog
from scheduler.features.statistics.uptime import DowntimeReader
from scheduler.queries.alerting.exclusions import ExclusionReader, ReadExclusions
from scheduler.queries.objectives.run_counting import MILLISECOND, ObjectiveRunCounter, ceil_hour
from scheduler.stores.runs.repository import Runs

JOBS_AT_ONCE = 25
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class MeasuredJob:
    """One job of an objective in a period.

    `excluded`: runs, or seconds of an objective by time, that do not count. `excluded_seconds`: the time of all
    `exclusions`, which can overlap.
    """

    job: str
    counts: SliCounts
    excluded: SliCounts
    excluded_seconds: float
    exclusions: tuple[ExcludedTime, ...]
    is_complete: bool


class ObjectiveMeasurer:
    """All methods that await raise StoreError."""

    def __init__(self, catalog: Catalog, runs: Runs, downtimes: DowntimeReader, exclusions: ExclusionReader) -> None:
        self._catalog = catalog
        self._runs = runs
        self._downtimes = downtimes
        self._exclusions = exclusions

    async def measure(self, objective: NamedObjective, period: Span) -> Sequence[MeasuredJob]:
        """Return each job of an objective by name. `period`: from a full hour on, until now at the latest."""
        if objective.definition.counts == "time":
            return await self._for_each(objective, lambda job: self._measure_time(job, period))
        excluded = await self._read_uncounted(objective, period)
        counter = ObjectiveRunCounter(self._runs, is_degraded_bad=objective.definition.is_degraded_bad)

        async def measure_runs(job: str) -> MeasuredJob:
            times = excluded[job]
            spans = merge_spans(Span(each.begin, each.end) for each in times.times)
            counted = await counter.count_hours(job, period.begin, ceil_hour(period.end), spans)
            is_complete = counted.is_complete and times.is_complete
            seconds = sum(_clipped_seconds(span, period) for span in spans)
            return MeasuredJob(
                job, counted.counts, counted.excluded, seconds, tuple(_clip_times(times.times, period)), is_complete
            )

        return await self._for_each(objective, measure_runs)

    async def measure_windows(
        self, objective: NamedObjective, now: datetime, windows: Sequence[timedelta]
    ) -> Mapping[timedelta, SliCounts]:
        """Return the counts of all jobs together in each window up to now."""
        period = Span(now - max(windows), now + MILLISECOND)
        if objective.definition.counts == "time":
            found = await self._for_each(objective, lambda job: self._downtimes.read_downtime(job, period))
            measured = [each.downtime for each in found if each.uptime is not None]
            return {window: sum((_clip(each, now - window) for each in measured), NO_COUNTS) for window in windows}
        excluded = await self._read_uncounted(objective, period)
        counter = ObjectiveRunCounter(self._runs, is_degraded_bad=objective.definition.is_degraded_bad)

        async def count(job: str) -> Mapping[timedelta, SliCounts]:
            spans = merge_spans(Span(each.begin, each.end) for each in excluded[job].times)
            return await counter.count_windows(job, now, windows, spans)

        by_job = await self._for_each(objective, count)
        return {window: sum((each[window] for each in by_job), NO_COUNTS) for window in windows}

    async def _for_each(self, objective: NamedObjective, read: Callable[[str], Awaitable[_T]]) -> Sequence[_T]:
        found: list[_T] = []
        for start in range(0, len(objective.jobs), JOBS_AT_ONCE):
            found += await asyncio.gather(*map(read, objective.jobs[start : start + JOBS_AT_ONCE]))
        return found

    async def _read_uncounted(self, objective: NamedObjective, period: Span) -> Mapping[str, ReadExclusions]:
        entries = [self._catalog.get_job(job) for job in objective.jobs]
        return await self._exclusions.read_uncounted(entries, period)

    async def _measure_time(self, job: str, period: Span) -> MeasuredJob:
        found = await self._downtimes.read_downtime(job, period)
        downtime = found.downtime
        counts = NO_COUNTS if found.uptime is None else _counts_of(downtime)
        excluded = downtime.excluded_seconds
        return MeasuredJob(job, counts, SliCounts(excluded), excluded, downtime.exclusions, found.is_complete)


def _counts_of(downtime: Downtime) -> SliCounts:
    return SliCounts(max(downtime.measured_seconds, 0.0), downtime.down_seconds)


def _clip(downtime: Downtime, since: datetime) -> SliCounts:
    """Return the counts from a later beginning on."""
    down = (CountedFailure("", "", "", span.begin, span.end) for span in downtime.spans)
    return _counts_of(compute_downtime(down, downtime.exclusions, since, downtime.until))


def _clip_times(times: Iterable[ExcludedTime], period: Span) -> Iterator[ExcludedTime]:
    for each in times:
        begin, end = max(each.begin, period.begin), min(each.end, period.end)
        if begin < end:
            yield replace(each, begin=begin, end=end)


def _clipped_seconds(span: Span, period: Span) -> float:
    return max((min(span.end, period.end) - max(span.begin, period.begin)).total_seconds(), 0.0)
