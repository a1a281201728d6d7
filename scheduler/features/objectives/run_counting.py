"""Counts the runs of a job for objectives: whole hours from the rollups, the rest from the runs themselves.

A read is bounded: rollups of the period, and the runs of hours that the period or an exclusion divides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.incidents.suppression.spans import Span
from jobs.objectives import NO_COUNTS, SliCounts, count_run
from scheduler.catalog.catalog import Query
from scheduler.features.statistics.periods import HOUR, hour_of
from scheduler.stores.runs.repository import Runs
from scheduler.stores.runs.rollups.reading import RollupPart

MAX_DIVIDED_HOURS = 500
"""Hours of a job, divided by exclusions, of which runs are read. Runs in further ones count."""
_RUNS_PER_PAGE = 200
MILLISECOND = timedelta(milliseconds=1)
_HOURS_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class PeriodCounts:
    """`counts`: without `excluded`. `is_complete`: every run of the period was counted, and every excluded one."""

    counts: SliCounts = NO_COUNTS
    excluded: SliCounts = NO_COUNTS
    is_complete: bool = True

    def __add__(self, other: PeriodCounts) -> PeriodCounts:
        return PeriodCounts(
            self.counts + other.counts, self.excluded + other.excluded, self.is_complete and other.is_complete
        )


@dataclass(frozen=True, slots=True)
class _CountedPart:
    start: datetime
    counts: PeriodCounts


class ObjectiveRunCounter(Query):
    """`is_degraded_bad`: of the objective. All methods that await raise StoreError."""

    def __init__(self, runs: Runs, *, is_degraded_bad: bool) -> None:
        self._runs = runs
        self._is_degraded_bad = is_degraded_bad

    async def count_hours(self, job: str, since: datetime, until: datetime, excluded: Sequence[Span]) -> PeriodCounts:
        """Count the runs that were due in [since, until), both full hours.

        `excluded`: merged, in order of time.
        """
        parts = await self._count_parts(job, since, until, excluded, ())
        return sum((part.counts for part in parts), PeriodCounts())

    async def count_days(
        self, job: str, since: datetime, until: datetime, excluded: Sequence[Span]
    ) -> Mapping[datetime, SliCounts]:
        """Count the runs of each day in UTC that has some. `since`: a midnight; `until`: a full hour."""
        days: dict[datetime, SliCounts] = {}
        for part in await self._count_parts(job, since, until, excluded, ()):
            day = part.start.replace(hour=0)
            days[day] = days.get(day, NO_COUNTS) + part.counts.counts
        return days

    async def count_windows(
        self, job: str, now: datetime, windows: Sequence[timedelta], excluded: Sequence[Span]
    ) -> Mapping[timedelta, SliCounts]:
        """Count the runs that were due in (now - window, now] for each window, to the instant."""
        begins = {window: now - window for window in windows}
        # A run that was due exactly at the beginning is outside.
        hours = {window: ceil_hour(begin + MILLISECOND) for window, begin in begins.items()}
        parts = await self._count_parts(job, min(hours.values()), hour_of(now) + HOUR, excluded, tuple(hours.values()))
        totals: dict[timedelta, SliCounts] = {}
        for window, begin in begins.items():
            hour = hours[window]
            rest = Span(begin + MILLISECOND, min(hour, now + MILLISECOND))
            counts = (await self._count_runs(job, rest, excluded)).counts
            whole = (part.counts.counts for part in parts if part.start >= hour)
            totals[window] = sum(whole, counts)
        return totals

    async def _count_parts(
        self,
        job: str,
        since: datetime,
        until: datetime,
        excluded: Sequence[Span],
        boundaries: Sequence[datetime],
    ) -> list[_CountedPart]:
        if since >= until:
            return []
        excluded = [span for span in excluded if span.begin < until and span.end > since]
        divided = {max(since, min(each, until)) for span in excluded for each in _hours_around(span)}
        parts = await self._runs.list_rollups(job, since, until, (*boundaries, *divided))
        counted: list[_CountedPart] = []
        mixed: list[RollupPart] = []
        for part in parts:
            counts = self._counts_of(part)
            if not any(span.begin < part.end and span.end > part.start for span in excluded):
                counted.append(_CountedPart(part.start, PeriodCounts(counts)))
            elif any(span.begin <= part.start and span.end >= part.end for span in excluded):
                counted.append(_CountedPart(part.start, PeriodCounts(excluded=counts)))
            else:
                mixed.append(part)
        for start in range(0, len(mixed), _HOURS_AT_ONCE):
            some = mixed[start : start + _HOURS_AT_ONCE]
            counted += await asyncio.gather(
                *(self._count_mixed(job, part, excluded, start < MAX_DIVIDED_HOURS) for part in some)
            )
        return counted

    async def _count_mixed(self, job: str, part: RollupPart, excluded: Sequence[Span], is_read: bool) -> _CountedPart:
        """Count an hour that an exclusion divides. What is not stored any more counts: only the sum is known of it."""
        counts = self._counts_of(part)
        if not is_read:
            return _CountedPart(part.start, PeriodCounts(counts, is_complete=False))
        read = await self._count_runs(job, Span(part.start, part.end), excluded)
        is_complete = read.counts.valid + read.excluded.valid >= counts.valid
        return _CountedPart(part.start, PeriodCounts(counts - read.excluded, read.excluded, is_complete))

    async def _count_runs(self, job: str, due: Span, excluded: Sequence[Span]) -> PeriodCounts:
        counts, not_counted = NO_COUNTS, NO_COUNTS
        continuation: str | None = None
        while due.begin < due.end:
            page = await self._runs.list_page(
                job, limit=_RUNS_PER_PAGE, continuation=continuation, since=due.begin, until=due.end - MILLISECOND
            )
            for run in (record.run for record in page.records if record.run is not None):
                run_counts = count_run(
                    run.outcome,
                    run.trigger,
                    is_degraded=run.degraded,
                    is_degraded_bad=self._is_degraded_bad,
                )
                if is_excluded(run.due_at, excluded):
                    not_counted += run_counts
                else:
                    counts += run_counts
            continuation = page.continuation
            if continuation is None:
                break
        return PeriodCounts(counts, not_counted)

    def _counts_of(self, part: RollupPart) -> SliCounts:
        segment, tally = part.rollup.segment, part.rollup.tally
        if segment is None:
            return NO_COUNTS
        valid = segment.uptime.sample_count
        bad = segment.uptime.down + (tally.degraded if self._is_degraded_bad else 0)
        return SliCounts(valid, min(bad, valid))


def is_excluded(at: datetime, excluded: Iterable[Span]) -> bool:
    return any(span.begin <= at < span.end for span in excluded)


def _hours_around(span: Span) -> Iterable[datetime]:
    """Yield the full hours that separate the hours which the span covers, or divides, from the others."""
    for instant in (span.begin, span.end):
        hour = hour_of(instant)
        yield hour
        if hour != instant:
            yield hour + HOUR


def ceil_hour(instant: datetime) -> datetime:
    """Return the instant if it is a full hour, else the next full hour."""
    hour = hour_of(instant)
    return hour if hour == instant else hour + HOUR
