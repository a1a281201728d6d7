"""Response models of uptime."""

from __future__ import annotations

from datetime import datetime

from scheduler.api.model_base import ResponseModel, example_values
from scheduler.queries.uptime import JobUptime


class UptimeWindowModel(ResponseModel):
    """A span that ends now. `ratio` (0 to 1) is null without a run. `mean_ms`: of the runs that succeeded.

    `complete`: the retention covers the span, so every run counts.
    """

    model_config = example_values(name="24h", ratio=0.999306, up=1439, down=1, mean_ms=112.4, complete=True)

    name: str
    ratio: float | None
    up: int
    down: int
    mean_ms: float | None
    complete: bool


class UptimeMonthModel(ResponseModel):
    """A calendar month in UTC: seconds of downtime, and outages that overlap it; null without data."""

    model_config = example_values(month="2026-11", down_seconds=60.0, outages=1)

    month: str
    down_seconds: float | None
    outages: int | None


class UptimeModel(ResponseModel):
    """The uptime of a job.

    Skipped and cancelled runs and backfills do not count. `since`: the first run that counts.
    """

    model_config = example_values(runs=43200)

    job: str
    since: datetime | None
    runs: int
    windows: list[UptimeWindowModel]
    months: list[UptimeMonthModel]

    @classmethod
    def from_uptime(cls, found: JobUptime) -> UptimeModel:
        windows = [
            UptimeWindowModel(
                name=window.name,
                ratio=round(window.uptime.ratio, 6) if window.uptime.sample_count else None,
                up=window.uptime.up,
                down=window.uptime.down,
                mean_ms=None if window.uptime.mean_ms is None else round(window.uptime.mean_ms, 3),
                complete=window.is_complete,
            )
            for window in found.windows
        ]
        months = [
            UptimeMonthModel(month=one.name, down_seconds=one.seconds, outages=one.outages) for one in found.months
        ]
        return cls(job=found.job, since=found.since, runs=found.runs, windows=windows, months=months)
