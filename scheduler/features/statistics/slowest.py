"""The slowest jobs, values of a tag, or hosts, by the response time of a period and its change to the period before.

Called by scheduler.features.statistics.routes, .commands and .page.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from jobs.ports import Clock
from jobs.runs.histogram import Histogram
from scheduler.catalog.catalog import Catalog, CatalogJob, Query
from scheduler.features.jobs.selection import JobSelection
from scheduler.features.statistics.models import SlowestModel, SlowRowModel
from scheduler.features.statistics.periods import Period, hour_of
from scheduler.features.statistics.queries import CACHE_FACTOR, MAX_CACHED_SECONDS, StatsReader
from scheduler.features.statistics.sums import MIN_USUAL, quantiles
from scheduler.stores.runs.repository import Runs
from scheduler.timed_cache import TimedCache

BY_PATTERN: Final = r"^(job|host|tag:[^=]{1,100})$"
SORTS: Final = ("p95", "change", "slower", "p50", "p99", "runs", "name")
"""The largest first, or by name. `change`: by the share. `slower`: the same, first those that got slower."""
MIN_SLOWER_RATIO: Final = 0.2
"""Two buckets of the histograms: the p95 of equal times can lie in one bucket or the next."""
MIN_SLOWER_MS: Final = 20.0
MAX_JOBS_OF_HOURS: Final = 500
DAY: Final = timedelta(days=1)
_CACHED_SECONDS: Final = 60.0
_MAX_CACHED: Final = 4
"""Each takes up to 10 MB at 5,000 jobs."""
MAX_WAIT_SECONDS: Final = 1.0
_SLOWER_SECONDS: Final = 3600.0
_MAX_SLOWER: Final = 20
"""One for all callers that see the same jobs."""

_Times = Mapping[str, Histogram]


def cover_complete_days(period: Period) -> Period:
    """Return as many complete days in UTC, the last of which ends when the period ends, or the day before.

    A day is one row of a job, its hours are 24: those of 5,000 jobs take minutes to read.
    """
    end = period.until.replace(hour=0)
    days = max(round((period.until - period.since) / DAY), 1)
    return Period(end - days * DAY, end)


class SlowestReader(Query):
    """The times of all jobs of a period are read once for all orders and groups."""

    def __init__(self, catalog: Catalog, runs: Runs, stats: StatsReader, clock: Clock) -> None:
        self._catalog = catalog
        self._runs = runs
        self._stats = stats
        self._clock = clock
        self._cache = TimedCache[tuple[_Times, _Times]](clock, CACHE_FACTOR, MAX_CACHED_SECONDS, _MAX_CACHED)
        self._slower = TimedCache[Mapping[str, float]](clock, 0.0, _SLOWER_SECONDS, _MAX_SLOWER)

    async def read(
        self, selection: JobSelection, period: Period, *, by: str = "job", sort: str = "p95", limit: int = 50
    ) -> SlowestModel:
        """Return the first `limit` groups in the order `sort`, one of SORTS.

        Of more than MAX_JOBS_OF_HOURS jobs, the period is as many complete days in UTC. `by`: `job`, `host`, or
        `tag:KEY`. Groups without a run in the period are omitted. Raises StoreError.
        """
        entries = await self._stats.select(selection)
        names = tuple(entry.job.name for entry in entries)
        if len(names) > MAX_JOBS_OF_HOURS:
            period = cover_complete_days(period)
        key = names, self._runs.list_begins(names), period
        times, before = await self._cache.get(key, _CACHED_SECONDS, partial(self._read, names, period))
        groups = defaultdict[str, list[str]](list)
        for entry in entries:
            if (value := _value_of(entry, by)) and entry.job.name in times:
                groups[value].append(entry.job.name)
        rows: list[SlowRowModel] = []
        await self._stats.turns.do_each(
            lambda group: rows.append(_sum_up(group[0], group[1], times, before)), groups.items()
        )
        rows.sort(key=lambda row: _order(row, sort))
        return SlowestModel(
            since=period.since,
            until=period.until,
            by=by,
            sort=sort,
            jobs=len(names),
            groups=len(rows),
            slower=sum(row.slower for row in rows),
            rows=rows[:limit],
        )

    async def find_slower(self) -> Mapping[str, float] | None:
        """Return the jobs that got slower in the last 24 complete hours, each with its ratio; found once an hour.

        Of more than MAX_JOBS_OF_HOURS jobs yesterday is compared with the day before. None while that takes longer than
        MAX_WAIT_SECONDS: it continues in the background. Raises StoreError.
        """
        names, end = tuple(self._catalog.snapshot.names()), hour_of(self._clock.now())

        async def find() -> Mapping[str, float]:
            found = await self.read(JobSelection(), Period(end - DAY, end), sort="slower", limit=len(names))
            return {row.value: row.p95_change_ratio or 0.0 for row in found.rows[: found.slower]}

        found = self._slower.get((names, self._runs.list_begins(names), end), _SLOWER_SECONDS, find)
        try:
            return await asyncio.wait_for(found, MAX_WAIT_SECONDS)
        except TimeoutError:
            return None

    async def _read(self, names: Sequence[str], period: Period) -> tuple[_Times, _Times]:
        earlier = period.before
        if earlier is None:
            return await self._stats.read_response_times(names, period), {}
        now, before = await asyncio.gather(
            self._stats.read_response_times(names, period), self._stats.read_response_times(names, earlier)
        )
        return now, before


def _value_of(entry: CatalogJob, by: str) -> str:
    if by == "job":
        return entry.job.name
    if by == "host":
        return "" if entry.job.check.kind == "heartbeat" else entry.host
    return entry.job.tags.get(by.removeprefix("tag:"), "")


def _sum_up(value: str, jobs: Sequence[str], times: _Times, before: _Times) -> SlowRowModel:
    now, earlier = Histogram(), Histogram()
    for job in jobs:
        now.merge(times[job])
        if job in before:
            earlier.merge(before[job])
    p50, p95, p99 = (None if quantile is None else round(quantile, 3) for quantile in quantiles(now))
    p95_before = earlier.quantile(0.95)
    is_comparable = p95 is not None and p95_before is not None
    change = p95 - p95_before if is_comparable else None  # type: ignore[operator]
    ratio = change / p95_before if change is not None and p95_before else None
    return SlowRowModel(
        value=value,
        jobs=len(jobs),
        runs=now.total,
        p50=p50,
        p95=p95,
        p99=p99,
        p95_before=None if p95_before is None else round(p95_before, 3),
        p95_change=None if change is None else round(change, 3),
        p95_change_ratio=None if ratio is None else round(ratio, 6),
        slower=(change or 0.0) >= MIN_SLOWER_MS
        and (ratio or 0.0) >= MIN_SLOWER_RATIO
        and min(now.total, earlier.total) >= MIN_USUAL,
    )


def _order(row: SlowRowModel, sort: str) -> tuple[bool, float, str]:
    """Return the key of an order: the largest first, those without a value last, by name."""
    if sort == "name":
        return False, 0.0, row.value
    number = row.p95_change_ratio if sort in ("change", "slower") else getattr(row, sort)
    return sort == "slower" and not row.slower, (float("inf") if number is None else -number), row.value
