"""Computes the uptime of a job from its stored runs and the hourly roll-ups of pruned ones.

Called by scheduler.api and scheduler.cli.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from jobs.ports import Clock
from jobs.runs.uptime import MonthlyDowntime, Uptime, UptimeSample, UptimeSegment, downtime_by_month, sum_samples
from scheduler.catalog.catalog import Catalog
from scheduler.stores.runs.repository import Runs

MAX_UPTIME_RUNS = 20_000
"""Newest runs that are read. More are stored only if the settings raise the retention."""
UPTIME_MONTHS = 3
_WINDOWS = {"24h": timedelta(days=1), **{f"{days}d": timedelta(days=days) for days in (7, 30, 90, 365)}}


@dataclass(frozen=True, slots=True)
class UptimeWindow:
    """The uptime of a span that ends now. `is_complete`: every run of the span was available."""

    name: str
    uptime: Uptime
    is_complete: bool


@dataclass(frozen=True, slots=True)
class JobUptime:
    """`since`: the first run that counts, None without one. `runs`: number of runs that count."""

    job: str
    since: datetime | None
    runs: int
    windows: Sequence[UptimeWindow]
    months: Sequence[MonthlyDowntime]


class UptimeReader:
    """`age`: retention of runs in seconds."""

    def __init__(self, catalog: Catalog, runs: Runs, clock: Clock, age: float) -> None:
        self._catalog = catalog
        self._runs = runs
        self._clock = clock
        self._age = age

    async def read_uptime(self, job: str, *, is_defined: bool = True) -> JobUptime:
        """Return the uptime of a job. Skipped and cancelled runs and backfills do not count. Months are UTC.

        `is_defined`: require a job of that name.

        Raises:
            UnknownJob: no job has that name.
            StoreError: the runs could not be read.
        """
        if is_defined:
            self._catalog.get_job(job)
        now = self._clock.now()
        hours, (looks, is_all) = (
            await self._runs.list_hourly_rollups(job),
            await self._runs.list_uptime_samples(job, MAX_UPTIME_RUNS),
        )
        if not is_all:
            hours = []  # runs between the roll-ups and those read are missing
        known = self._complete_since(now, looks, is_all)
        windows = []
        for name, span in _WINDOWS.items():
            windows.append(_create_window(name, now - span, hours, looks, known))
            await asyncio.sleep(0)
        stretches = sorted([*hours, *await _sum_by_hour(looks)], key=lambda one: one.first)
        since = stretches[0].first if stretches else None
        months = downtime_by_month(stretches, now, UPTIME_MONTHS, UTC, since=since or now)
        return JobUptime(job, since, sum(one.uptime.sample_count for one in stretches), windows, months)

    def _complete_since(self, now: datetime, looks: Sequence[tuple[datetime, UptimeSample]], is_all: bool) -> datetime:
        """Return the instant from which every run is available."""
        if not is_all:
            return looks[0][0] if looks else now
        return now - timedelta(seconds=min(self._age, _WINDOWS["365d"].total_seconds()))


async def _sum_by_hour(looks: Sequence[tuple[datetime, UptimeSample]]) -> list[UptimeSegment]:
    """Sum up samples by hour, and yield to the event loop after each."""
    found: list[UptimeSegment] = []
    for _, some in groupby(looks, lambda look: (look[0].date(), look[0].hour)):
        found.append(UptimeSegment.from_samples(list(some)))
        await asyncio.sleep(0)
    return found


def _create_window(
    name: str,
    begin: datetime,
    hours: Sequence[UptimeSegment],
    looks: Sequence[tuple[datetime, UptimeSample]],
    known: datetime,
) -> UptimeWindow:
    """Create the window that starts at `begin`. The roll-up of the hour that contains `begin` counts in full."""
    recent = sum_samples(look for at, look in looks if at >= begin)
    older = (hour.uptime for hour in hours if hour.last >= begin)
    return UptimeWindow(name, sum(older, recent), known <= begin)
