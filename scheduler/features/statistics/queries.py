"""Statistics of runs from their rollups: of a job, of a selection of jobs, and of each value of a tag.

Sums are cached for CACHE_FACTOR times as long as reading them took, so that requests about thousands of jobs take a
small share of the process.
"""

from __future__ import annotations

import asyncio
import operator
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from itertools import chain

from jobs.ports import Clock
from jobs.runs import Outcome, Run
from jobs.runs.histogram import Histogram
from scheduler.catalog.catalog import Catalog, CatalogJob, Query
from scheduler.features.jobs.selection import JobSelection
from scheduler.features.statistics.models import (
    BusyHourModel,
    OutcomeCountsModel,
    QuantilesModel,
    SelectionStatsModel,
    StatsModel,
    TagStatsModel,
    TrendModel,
)
from scheduler.features.statistics.periods import DAY, HOUR, Period, hour_of
from scheduler.features.statistics.sums import (
    MAX_FROM_RUNS,
    HoursOfDay,
    RunSeries,
    StatsSums,
    find_usual_times,
    floor_instant,
    list_dividing_instants,
    quantiles,
    span_of_rollups,
    sum_parts,
    sum_runs_of_period,
)
from scheduler.stores.runs.keys import SHARD_COUNT, instant_before, shard_of_job
from scheduler.stores.runs.repository import JobMatcher, Runs
from scheduler.stores.runs.rollups.reading import JobPart, RollupPart
from scheduler.stores.runs.rollups.tally import Tally
from scheduler.timed_cache import TimedCache
from scheduler.turns import SharedTurns, convert_each

JOBS_AT_ONCE = 25
"""Jobs whose rollups are read one by one, for all requests. Those of more jobs are read by scans."""
JOBS_PER_SCAN = 1000
"""Of one shard. Limits the keys that are created at once."""
SCANS_AT_ONCE = 4
"""For all requests."""
CACHE_FACTOR = 20
"""Sums are cached for so many times as long as reading them took: at most 5 % of the time is spent reading."""
MAX_CACHED_SECONDS = 600.0
MAX_CACHED_SUMS = 500
"""Each takes about 10 KB."""
MAX_CACHED_GROUPS, MAX_GROUPS_OF_CACHED = 20, 100
"""The sums of the values of a tag are cached together: of so many selections, if the tag has at most so many values."""
MAX_CACHED_OUTCOMES = 50
MAX_OUTCOMES_IN_HOURS = timedelta(days=3)
"""Outcomes of a longer period are counted by days."""
EXPORTED_AT_ONCE = 1000
"""Jobs whose sums an export holds."""
MAX_CACHED_SERIES = 100
"""Earlier periods, and usual times, of charts."""
USUAL_DAYS = 14
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


class StatsReader(Query):
    """`age`: retention of rollups in seconds; `run_age`: of runs. All methods that await raise StoreError."""

    def __init__(self, catalog: Catalog, runs: Runs, clock: Clock, age: float, run_age: float) -> None:
        self._catalog = catalog
        self._runs = runs
        self._clock = clock
        self._age = age
        self._run_age = run_age
        self._single, self._several = (
            TimedCache[Sequence[StatsSums]](clock, CACHE_FACTOR, MAX_CACHED_SECONDS, size)
            for size in (MAX_CACHED_SUMS, MAX_CACHED_GROUPS)
        )
        self._outcomes = TimedCache[RunSeries](clock, CACHE_FACTOR, MAX_CACHED_SECONDS, MAX_CACHED_OUTCOMES)
        self._earlier = TimedCache[RunSeries](clock, CACHE_FACTOR, MAX_CACHED_SECONDS, MAX_CACHED_SERIES)
        self._usual = TimedCache[Mapping[int, tuple[float, float]]](
            clock, CACHE_FACTOR, MAX_CACHED_SECONDS, MAX_CACHED_SERIES
        )
        self._places = asyncio.Semaphore(JOBS_AT_ONCE)
        self._scans = asyncio.Semaphore(SCANS_AT_ONCE)
        self.turns = SharedTurns()
        """Of all long requests."""

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
        return (await self._read([[job]], period, zone))[0]

    async def read_several(self, jobs: Sequence[str], period: Period, zone: tzinfo = UTC) -> Stats:
        """Return the statistics of several jobs together."""
        return (await self._read([jobs], period, zone))[0]

    async def read_ended(self, jobs: Sequence[str], period: Period) -> tuple[StatsSums, bool]:
        """Return the sums of several jobs in a period that has ended, and whether all are counted. Cached."""
        found = await self._sum_cached([jobs], period, HoursOfDay(UTC), CLOSED_CACHED_SECONDS)
        complete = await self._find_complete_shards([jobs], period)
        return found[0], all(shard_of_job(job) in complete for job in jobs[:100])

    async def read_series(self, job: str, since: datetime, until: datetime) -> RunSeries:
        """Return the counts of a job in equal spans of time. Raises UnknownJob."""
        self._catalog.get_job(job)
        if until - since <= MAX_FROM_RUNS and (runs := await self._read_runs(job, since, until)) is not None:
            return sum_runs_of_period(runs, since, until)
        period = Period.covering(since, until)
        span = span_of_rollups(until - since)
        divided = list_dividing_instants(period.since, period.until) if span == HOUR else ()
        parts = await self._runs.list_rollups(job, period.since, period.until, divided)
        return sum_parts(parts, period.since, period.until, span)

    async def read_outcomes(self, jobs: Sequence[str], since: datetime, until: datetime) -> RunSeries:
        """Return how the runs of some jobs ended, together, in equal spans of time; without durations. It is cached."""
        key = tuple(jobs), self._runs.list_begins(jobs), since, until
        return await self._outcomes.get(key, OPEN_CACHED_SECONDS, partial(self._count_outcomes, jobs, since, until))

    async def _count_outcomes(self, jobs: Sequence[str], since: datetime, until: datetime) -> RunSeries:
        begins = self._runs.list_begins(jobs)
        is_all_visible = len(jobs) == 1 or all(begin is None or begin <= since for begin in begins)
        if until - since <= MAX_FROM_RUNS and is_all_visible:
            (job, matches) = (jobs[0], None) if len(jobs) == 1 else (None, frozenset(jobs).__contains__)
            if (runs := await self._read_runs(job, since, until, matches)) is not None:
                return sum_runs_of_period(runs, since, until)
        period = Period.covering(since, until)
        series = sum_parts((), period.since, period.until, HOUR if until - since <= MAX_OUTCOMES_IN_HOURS else DAY)
        tallies = {point.start: point.tally for point in series.points}

        def add(part_of_job: JobPart) -> None:
            part, tally = part_of_job[1], part_of_job[1].rollup.tally
            sums = tallies.get(floor_instant(part.start, series.span))
            if sums is not None:
                sums.outcomes = [*map(operator.add, sums.outcomes, tally.outcomes)]
                sums.degraded += tally.degraded
                sums.unknown += tally.unknown

        for piece in period.split_at_noon() if series.span == HOUR else (period,):
            await self._visit(jobs, piece, add)
        return series

    async def read_earlier_series(self, job: str, since: datetime, until: datetime) -> RunSeries:
        """Return the same of a period that has ended, possibly cached. Raises UnknownJob."""
        return await self._earlier.get(
            (job, since, until), CLOSED_CACHED_SECONDS, partial(self.read_series, job, since, until)
        )

    async def read_usual_times(self, job: str, since: datetime) -> Mapping[int, tuple[float, float]]:
        """Return the usual response times of the USUAL_DAYS before the day of `since`, by the hour of the day in UTC.

        They can be cached. See find_usual_times.
        """
        until = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        begin = until - timedelta(days=USUAL_DAYS)

        async def read() -> Mapping[int, tuple[float, float]]:
            return find_usual_times(
                await self._runs.list_rollups(job, begin, until, list_dividing_instants(begin, until))
            )

        return await self._usual.get((job, until), CLOSED_CACHED_SECONDS, read)

    async def _read_runs(
        self, job: str | None, since: datetime, until: datetime, matches_job: JobMatcher | None = None
    ) -> list[Run] | None:
        """Return the finished runs of a period; None if there are too many, or the retention may have deleted some."""
        if since < instant_before(self._clock.now(), self._run_age):
            return None
        page = await self._runs.list_page(
            job, limit=MAX_RUNS_IN_SERIES, since=since, until=until, matches_job=matches_job
        )
        return None if page.continuation else [record.run for record in page.records if record.run is not None]

    async def read_selection(
        self, selection: JobSelection, period: Period, zone: tzinfo = UTC, group_by: str | None = None
    ) -> SelectionStats:
        """Return the statistics of all selected jobs together, and of those of each value of the tag `group_by`.

        A selection by state or outcome is not supported: both change with time.
        """
        names, by_value = await self._select(selection, group_by)
        if group_by is None:
            return SelectionStats(len(names), (await self._read([names], period, zone))[0], ())
        values = sorted(by_value)
        stats_by_value = await self._read([by_value[value] for value in values], period, zone)
        groups = [(value, len(by_value[value]), stats) for value, stats in zip(values, stats_by_value, strict=True)]
        return SelectionStats(len(names), await self._add_up(period, stats_by_value), groups)

    async def iterate_jobs(
        self, selection: JobSelection, period: Period
    ) -> AsyncIterator[Sequence[tuple[str, StatsSums, bool]]]:
        """Yield the selected jobs by name, some at a time: each with its sums, and whether every run is counted.

        They are not cached: those of other requests would be evicted.
        """
        names, hours = (await self._select(selection, None))[0], HoursOfDay(UTC)
        complete = await self._find_complete_shards([names], period)
        for start in range(0, len(names), EXPORTED_AT_ONCE):
            some = names[start : start + EXPORTED_AT_ONCE]
            sums = await self._sum([[name] for name in some], period, hours)
            yield [(name, of, shard_of_job(name) in complete) for name, of in zip(some, sums, strict=True)]

    async def read_durations(self, jobs: Sequence[str], period: Period) -> dict[str, Histogram]:
        """Return the durations of the runs of some jobs, not cached. Jobs without a run are omitted."""
        return await self._read_histograms(jobs, period, lambda tally: tally.duration)

    async def read_response_times(self, jobs: Sequence[str], period: Period) -> dict[str, Histogram]:
        """Return the response times of some jobs in the same form."""
        return await self._read_histograms(jobs, period, lambda tally: tally.response_time)

    async def _read_histograms(
        self, jobs: Sequence[str], period: Period, find: Callable[[Tally], Histogram]
    ) -> dict[str, Histogram]:
        histograms: dict[str, Histogram] = {}

        def add(part_of_job: JobPart) -> None:
            job, part = part_of_job
            histograms.setdefault(job, Histogram()).merge(find(part.rollup.tally))

        await self._visit(jobs, period, add)
        return {job: found for job, found in histograms.items() if found.packed}

    async def select(self, selection: JobSelection) -> Sequence[CatalogJob]:
        """Return the jobs that match by name, kind and tags, by name."""
        jobs = self._catalog.snapshot
        found = await convert_each(jobs.find_job, jobs.names())
        return [entry for entry in found if entry is not None and selection.matches_definition(entry.job)]

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

    async def _add_up(self, period: Period, parts: Sequence[Stats]) -> Stats:
        sums, before = StatsSums(), StatsSums() if period.before is not None else None

        def add(stats: Stats) -> None:
            sums.merge(stats.sums)
            if before is not None and stats.before is not None:
                before.merge(stats.before)

        await self.turns.do_each(add, parts)
        return Stats(period, sums, before, all(stats.is_complete for stats in parts))

    async def _read(self, groups: Sequence[Sequence[str]], period: Period, zone: tzinfo) -> list[Stats]:
        """Return the statistics of each group of jobs.

        The complete hours are read and cached apart from the current one.
        """
        hours, before = HoursOfDay(zone), period.before
        current = min(max(hour_of(self._clock.now()), period.since), period.until)
        sums = await convert_each(lambda _: StatsSums(), groups)
        for part, seconds in (
            (Period(period.since, current), CLOSED_CACHED_SECONDS),
            (Period(current, period.until), OPEN_CACHED_SECONDS),
        ):
            if part.since < part.until:
                found = await self._sum_cached(groups, part, hours, seconds)
                await self.turns.do_each(lambda pair: pair[0].merge(pair[1]), zip(sums, found, strict=True))
        earlier: Sequence[StatsSums | None] = [None] * len(groups)
        if before is not None:
            earlier = await self._sum_cached(groups, before, hours, CLOSED_CACHED_SECONDS)
        complete = await self._find_complete_shards(groups, period)

        def create(group: tuple[Sequence[str], StatsSums, StatsSums | None]) -> Stats:
            jobs, sums, before = group
            return Stats(period, sums, before, all(shard_of_job(job) in complete for job in jobs[:100]))

        return await convert_each(create, zip(groups, sums, earlier, strict=True))

    async def _sum_cached(
        self, groups: Sequence[Sequence[str]], period: Period, hours: HoursOfDay, seconds: float
    ) -> Sequence[StatsSums]:
        is_short = len(groups) == 1 and len(groups[0]) == 1 and seconds == OPEN_CACHED_SECONDS
        if is_short or len(groups) > MAX_GROUPS_OF_CACHED:
            return await self._sum(groups, period, hours)
        cache = self._single if len(groups) == 1 else self._several
        begins = self._runs.list_begins(chain.from_iterable(groups))
        key = (tuple(map(tuple, groups)), begins, period, str(hours.zone))
        return await cache.get(key, seconds, partial(self._sum, groups, period, hours))

    async def _sum(self, groups: Sequence[Sequence[str]], period: Period, hours: HoursOfDay) -> Sequence[StatsSums]:
        sums = await convert_each(lambda _: StatsSums(), groups)
        by_job = {job: of for of, jobs in zip(sums, groups, strict=True) for job in jobs}
        await self._visit([*by_job], period, lambda each: by_job[each[0]].add(each[1], hours))
        return sums

    async def _visit(self, jobs: Sequence[str], period: Period, visit: Callable[[JobPart], None]) -> None:
        """Call `visit` with each part of the rollups of these jobs, in any order."""
        if len(jobs) <= JOBS_AT_ONCE:
            found = await asyncio.gather(*(self._list_rollups(job, period) for job in jobs))
            parts = ((job, part) for job, some in zip(jobs, found, strict=True) for part in some)
            await self.turns.do_each(visit, parts)
            return
        shards = defaultdict[str, list[str]](list)
        await convert_each(lambda job: shards[shard_of_job(job)].append(job), jobs)
        tasks = [asyncio.ensure_future(self._scan(of_shard, period, visit)) for of_shard in shards.values()]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _scan(self, jobs: Sequence[str], period: Period, visit: Callable[[JobPart], None]) -> None:
        for start in range(0, len(jobs), JOBS_PER_SCAN):
            async with self._scans:
                some = jobs[start : start + JOBS_PER_SCAN]
                async for parts in self._runs.iterate_rollups(some, period.since, period.until):
                    await self.turns.do_each(visit, parts)

    async def _list_rollups(self, job: str, period: Period) -> Sequence[RollupPart]:
        async with self._places:
            return await self._runs.list_rollups(job, period.since, period.until)

    async def _find_complete_shards(self, groups: Iterable[Sequence[str]], period: Period) -> Collection[str]:
        """Return the shards of these jobs of which every run of the period is counted."""
        if period.since < hour_of(self.oldest) - HOUR:
            return ()
        oldest = instant_before(self._clock.now(), self._run_age)
        is_complete_by_shard = dict[str, bool]()
        for job in chain.from_iterable(groups):
            if (shard := shard_of_job(job)) not in is_complete_by_shard:
                since = await self._runs.find_rollups_complete_since(job, oldest)
                is_complete_by_shard[shard] = since is None or since <= period.since
                if len(is_complete_by_shard) == SHARD_COUNT:
                    break
        return [shard for shard, is_complete in is_complete_by_shard.items() if is_complete]


def view_stats(stats: Stats) -> StatsModel:
    """Return statistics with ratios of 6 digits and milliseconds of 3."""
    sums, tally = stats.sums, stats.sums.tally
    return StatsModel.from_object(
        tally,
        since=stats.period.since,
        until=stats.period.until,
        complete=stats.is_complete,
        outcomes=OutcomeCountsModel(**{outcome.value: tally.count(outcome) for outcome in Outcome}),
        success_rate=_round(sums.success_rate),
        uptime=_round(sums.uptime_ratio),
        duration=_view_quantiles(tally.duration),
        response_time=_view_quantiles(tally.response_time),
        lateness=_view_quantiles(tally.lateness),
        before=None if stats.before is None else _view_trend(sums, stats.before),
        busiest_hours=[BusyHourModel(hour=hour, runs=runs, down=down) for hour, runs, down in sums.busiest_hours()],
    )


def view_group(group: tuple[str, int, Stats]) -> TagStatsModel:
    """Return the statistics of a value of a tag. `group`: one of SelectionStats.groups."""
    value, jobs, stats = group
    return TagStatsModel(value=value, jobs=jobs, stats=view_stats(stats))


def view_selection(selected: SelectionStats, tag: str | None) -> SelectionStatsModel:
    """Return the statistics of selected jobs. `tag`: by whose values they are grouped."""
    by_value = [*map(view_group, selected.groups)]
    return SelectionStatsModel(jobs=selected.jobs, stats=view_stats(selected.total), tag=tag, by_value=by_value)


def _view_quantiles(histogram: Histogram) -> QuantilesModel:
    p50, p95, p99 = (_round(value, 3) for value in quantiles(histogram))
    return QuantilesModel(p50=p50, p95=p95, p99=p99)


def _view_trend(now: StatsSums, before: StatsSums) -> TrendModel:
    p95_now, p95_before = (sums.tally.duration.quantile(0.95) for sums in (now, before))
    return TrendModel(
        runs=before.tally.runs,
        success_rate=_round(before.success_rate),
        uptime=_round(before.uptime_ratio),
        duration_p95=_round(p95_before, 3),
        runs_change=now.tally.runs - before.tally.runs,
        success_rate_change=_subtract(now.success_rate, before.success_rate),
        uptime_change=_subtract(now.uptime_ratio, before.uptime_ratio),
        duration_p95_change=_subtract(p95_now, p95_before, 3),
    )


def _round(value: float | None, digits: int = 6) -> float | None:
    return None if value is None else round(value, digits)


def _subtract(now: float | None, before: float | None, digits: int = 6) -> float | None:
    return None if now is None or before is None else round(now - before, digits)
