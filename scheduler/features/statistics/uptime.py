"""Computes the uptime of a job from its rollups, which remain when runs are deleted; downtime.py measures time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobs.ports import Clock
from jobs.runs.uptime import MonthlyDowntime, Uptime, downtime_by_month
from scheduler.catalog.catalog import Catalog, Query
from scheduler.features.statistics.models import UptimeModel, UptimeMonthModel, UptimeWindowModel
from scheduler.stores.runs.keys import instant_before
from scheduler.stores.runs.repository import Runs

UPTIME_MONTHS = 3
_WINDOWS = {"24h": timedelta(days=1), **{f"{days}d": timedelta(days=days) for days in (7, 30, 90, 365)}}


@dataclass(frozen=True, slots=True)
class UptimeWindow:
    """The uptime of a span that ends now. `is_complete`: every run of the span is counted."""

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


class UptimeReader(Query):
    """`age`: retention of rollups in seconds; `run_age`: of runs."""

    def __init__(self, catalog: Catalog, runs: Runs, clock: Clock, age: float, run_age: float) -> None:
        self._catalog = catalog
        self._runs = runs
        self._clock = clock
        self._age = age
        self._run_age = run_age

    async def read_uptime(self, job: str, *, is_defined: bool = True) -> JobUptime:
        """Return the uptime of a job. Skipped and cancelled runs and backfills do not count. Months are UTC.

        The hour that contains the beginning of a window counts in full. `is_defined`: require a job of that name.

        Raises:
            UnknownJob: no job has that name.
            StoreError: the rollups could not be read.
        """
        if is_defined:
            self._catalog.get_job(job)
        now = self._clock.now()
        oldest = instant_before(now, self._age)
        begins = [_hour_of(now - span) for span in _WINDOWS.values()]
        parts = await self._runs.list_rollups(job, _hour_of(oldest), _hour_of(now) + timedelta(hours=1), begins)
        stored = (part.rollup.segment for part in parts)
        segments = sorted(
            (segment for segment in stored if segment is not None and segment.last >= oldest),
            key=lambda segment: segment.first,
        )
        since_upgrade = await self._runs.find_rollups_complete_since(job, instant_before(now, self._run_age))
        complete_since = max(oldest, since_upgrade or oldest)
        windows = [
            UptimeWindow(
                name,
                sum((segment.uptime for segment in segments if segment.last >= now - span), Uptime()),
                complete_since <= now - span,
            )
            for name, span in _WINDOWS.items()
        ]
        since = segments[0].first if segments else None
        months = downtime_by_month(segments, now, UPTIME_MONTHS, UTC, since=since or now)
        return JobUptime(job, since, sum(segment.uptime.sample_count for segment in segments), windows, months)


def _hour_of(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)


def view_uptime(uptime: JobUptime) -> UptimeModel:
    """Return an uptime with ratios of 6 digits and milliseconds of 3."""
    windows = [
        UptimeWindowModel(
            name=window.name,
            ratio=round(window.uptime.ratio, 6) if window.uptime.sample_count else None,
            up=window.uptime.up,
            down=window.uptime.down,
            mean_ms=None if window.uptime.mean_ms is None else round(window.uptime.mean_ms, 3),
            complete=window.is_complete,
        )
        for window in uptime.windows
    ]
    months = [
        UptimeMonthModel(month=month.name, down_seconds=month.seconds, outages=month.outages) for month in uptime.months
    ]
    return UptimeModel.from_object(uptime, windows=windows, months=months)
