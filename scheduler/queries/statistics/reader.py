"""Statistics of runs from their rollups: of a job, of a selection of jobs, and of each value of a tag.

Called by scheduler.api and scheduler.cli. Sums are cached for CACHE_FACTOR times as long as reading them took, so that
requests about thousands of jobs take a small share of the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from time import perf_counter

from jobs.ports import Clock
from jobs.runs import Run
from jobs.runs.histogram import Histogram
from scheduler.catalog.catalog import Catalog
from scheduler.queries.periods import HOUR, Period, hour_of
from scheduler.queries.selection import JobSelection
from scheduler.queries.statistics.series import (
    LONGEST_FROM_RUNS,
    RunSeries,
    list_dividing_instants,
    span_of_rollups,
    sum_parts,
    sum_runs_of_period,
)
from scheduler.queries.statistics.sums import HoursOfDay, StatsSums
from scheduler.stores.runs.keys import instant_before
from scheduler.stores.runs.repository import Runs
from scheduler.stores.runs.rollups.reading import RollupPart
from scheduler.timed_cache import TimedCache
from scheduler.turns import convert_each

JOBS_AT_ONCE = 25
"""Jobs whose rollups are read together, for all requests."""
MANY_JOBS = 1000
"""Reads of more jobs pause as long as they work, so that due runs start meanwhile."""
MAX_PAUSE = 0.004
"""Seconds; also where the time passes in a remote store."""
CACHE_FACTOR = 20
"""Sums are cached for so many times as long as reading them took: at most 5 % of the time is spent reading."""
MAX_CACHED_SECONDS = 600.0
MAX_CACHED_SUMS = 500
"""Each takes about 10 KB."""
MAX_RUNS_IN_SERIES = 1000
"""A series of more runs is read from the rollups."""
CLOSED_CACHED_SECONDS, OPEN_CACHED_SECONDS = 30.0, 1.0
"""Seconds for which the sums of complete hours, and those of several jobs in the current hour, are cached at least."""


@dataclass(frozen=True, slots=True)
class Stats:
    """The sums of a period and of the period before, None if that is too old. `is_complete`: every run is counted."""

    period: Period
    sums: StatsSums
    before: StatsSums | None
    is_complete: bool


@dataclass(frozen=True, slots=True)
class SelectionStats:
    """`jobs`: number of selected jobs. `groups`: of the values of a tag, sorted, with their number of jobs."""

    jobs: int
    total: Stats
    groups: Sequence[tuple[str, int, Stats]]


class StatsReader:
    """`age`: retention of rollups in seconds; `run_age`: of runs. All methods that await raise StoreError."""

    def __init__(self, catalog: Catalog, runs: Runs, clock: Clock, age: float, run_age: float) -> None:
        self._catalog = catalog
        self._runs = runs
        self._clock = clock
        self._age = age
        self._run_age = run_age
        self._cache: TimedCache[StatsSums] = TimedCache(clock, CACHE_FACTOR, MAX_CACHED_SECONDS, MAX_CACHED_SUMS)
        self._places = asyncio.Semaphore(JOBS_AT_ONCE)

    @property
    def oldest(self) -> datetime:
        """The instant before which rollups are deleted."""
        return instant_before(self._clock.now(), self._age)

    async def read_job(self, job: str, period: Period, zone: tzinfo = UTC) -> Stats:
        """Return the statistics of a job. Raises UnknownJob."""
        self._catalog.get_job(job)
        return await self.read_stored(job, period, zone)

    async def read_stored(self, job: str, period: Period, zone: tzinfo = UTC) -> Stats:
        """Return the statistics of a job that need not be defined."""
        return await self._read([job], period, zone)

    async def read_series(self, job: str, since: datetime, until: datetime) -> RunSeries:
        """Return the counts of a job in equal spans of time. Raises UnknownJob."""
        self._catalog.get_job(job)
        if until - since <= LONGEST_FROM_RUNS and (runs := await self._read_runs(job, since, until)) is not None:
            return sum_runs_of_period(runs, since, until)
        period = Period.covering(since, until)
        span = span_of_rollups(until - since)
        divided = list_dividing_instants(period.since, period.until) if span == HOUR else ()
        parts = await self._runs.list_rollups(job, period.since, period.until, divided)
        return sum_parts(parts, period.since, period.until, span)

    async def _read_runs(self, job: str, since: datetime, until: datetime) -> list[Run] | None:
        """Return the finished runs of a period; None if there are too many, or the retention may have deleted some."""
        if since < instant_before(self._clock.now(), self._run_age):
            return None
        page = await self._runs.list_page(job, limit=MAX_RUNS_IN_SERIES, since=since, until=until)
        return None if page.continuation else [record.run for record in page.records if record.run is not None]

    async def read_selection(
        self, selection: JobSelection, period: Period, zone: tzinfo = UTC, group_by: str | None = None
    ) -> SelectionStats:
        """Return the statistics of all selected jobs together, and of those of each value of the tag `group_by`.

        A selection by state or outcome is not supported: both change with time.
        """
        names, by_value = await self._select(selection, group_by)
        values = sorted(by_value)
        found = await asyncio.gather(*(self._read(by_value[value], period, zone) for value in values))
        groups = [(value, len(by_value[value]), stats) for value, stats in zip(values, found, strict=True)]
        if group_by is None:
            return SelectionStats(len(names), await self._read(names, period, zone), ())
        return SelectionStats(len(names), self._add_up(period, zone, [stats for *_, stats in groups]), groups)

    async def iterate_jobs(self, selection: JobSelection, period: Period) -> AsyncIterator[tuple[str, Stats]]:
        """Yield each selected job by name, with its statistics."""
        for name in (await self._select(selection, None))[0]:
            yield name, await self.read_stored(name, period)

    async def read_durations(self, jobs: Sequence[str], period: Period) -> dict[str, Histogram]:
        """Return the durations of the runs of some jobs, not cached. Jobs without a run are omitted."""
        found: dict[str, Histogram] = {}
        for start in range(0, len(jobs), JOBS_AT_ONCE):
            some = jobs[start : start + JOBS_AT_ONCE]
            parts = await asyncio.gather(*(self._runs.list_rollups(job, period.since, period.until) for job in some))
            for job, rollups in zip(some, parts, strict=True):
                durations = Histogram(sum(part.rollup.tally.duration.packed for part in rollups))
                if durations.packed:
                    found[job] = durations
            await asyncio.sleep(0)
        return found

    async def _select(self, selection: JobSelection, group_by: str | None) -> tuple[list[str], dict[str, list[str]]]:
        jobs = self._catalog.snapshot
        names, by_value = list[str](), dict[str, list[str]]()

        def add(name: str) -> None:
            entry = jobs.find_job(name)
            if entry is None or not selection.matches_definition(entry.job):
                return
            names.append(name)
            if group_by is not None:
                by_value.setdefault(entry.job.tags[group_by], []).append(name)

        await convert_each(add, jobs.names())
        return names, by_value

    def _add_up(self, period: Period, zone: tzinfo, parts: Sequence[Stats]) -> Stats:
        sums, before = StatsSums(), StatsSums() if period.before is not None else None
        for stats in parts:
            sums.merge(stats.sums)
            if before is not None and stats.before is not None:
                before.merge(stats.before)
        return Stats(period, sums, before, all(stats.is_complete for stats in parts))

    async def _read(self, jobs: Sequence[str], period: Period, zone: tzinfo) -> Stats:
        """The complete hours are read and cached apart from the current one."""
        hours, before = HoursOfDay(zone), period.before
        current = min(max(hour_of(self._clock.now()), period.since), period.until)
        sums = StatsSums()
        for part, seconds in (
            (Period(period.since, current), CLOSED_CACHED_SECONDS),
            (Period(current, period.until), OPEN_CACHED_SECONDS),
        ):
            if part.since < part.until:
                sums.merge(await self._sum_cached(jobs, part, hours, seconds))
        earlier = None if before is None else await self._sum_cached(jobs, before, hours, CLOSED_CACHED_SECONDS)
        return Stats(period, sums, earlier, await self._is_complete(jobs, period))

    async def _sum_cached(self, jobs: Sequence[str], period: Period, hours: HoursOfDay, seconds: float) -> StatsSums:
        if len(jobs) == 1 and seconds == OPEN_CACHED_SECONDS:
            return await self._sum(jobs, period, hours)
        key = (tuple(jobs), self._runs.list_begins(jobs), period, str(hours.zone))
        return await self._cache.get(key, seconds, partial(self._sum, jobs, period, hours))

    async def _sum(self, jobs: Sequence[str], period: Period, hours: HoursOfDay) -> StatsSums:
        sums = StatsSums()
        for start in range(0, len(jobs), JOBS_AT_ONCE):
            some = jobs[start : start + JOBS_AT_ONCE]
            is_large = len(jobs) > MANY_JOBS
            for parts in await asyncio.gather(*(self._list_rollups(job, period, pauses=is_large) for job in some)):
                for part in parts:
                    sums.add(part, hours)
                await asyncio.sleep(0)
        return sums

    async def _list_rollups(self, job: str, period: Period, *, pauses: bool) -> Sequence[RollupPart]:
        async with self._places:
            began = perf_counter()
            parts = await self._runs.list_rollups(job, period.since, period.until)
            if pauses:
                await asyncio.sleep(min(perf_counter() - began, MAX_PAUSE))
            return parts

    async def _is_complete(self, jobs: Sequence[str], period: Period) -> bool:
        if period.since < hour_of(self.oldest) - HOUR:
            return False
        run_oldest = instant_before(self._clock.now(), self._run_age)
        # The jobs of a shard have the same answer, which is cached.
        found = [await self._runs.find_rollups_complete_since(job, run_oldest) for job in jobs[:100]]
        return all(since is None or since <= period.since for since in found)
