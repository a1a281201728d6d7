"""The charts of a job in a period: states, response time, lateness, success; with the marks of changes.

Called by scheduler.api.dashboard.jobs.job_page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobs.formats.durations import describe_milliseconds
from jobs.runs.histogram import Histogram
from scheduler.api.dashboard.jobs.chart_period import ChartPeriod
from scheduler.api.dashboard.jobs.state_history import draw_history
from scheduler.api.dashboard.readers import Readers
from scheduler.api.dashboard.rendering.chart_axes import TimeAxis, ValueAxis, measure_axis, ratio_axis
from scheduler.api.dashboard.rendering.formatting import percent
from scheduler.api.dashboard.rendering.line_chart import ChartLine, LineChart, draw_line_chart
from scheduler.api.dashboard.rendering.state_strip import StateStrip
from scheduler.features.changes.job_markers import JobMarker
from scheduler.features.changes.queries import StateHistory, read_state_history
from scheduler.features.statistics.sums import RunSeries, quantiles
from scheduler.identity.principal import Principal
from scheduler.services import Services
from scheduler.stores.runs.rollups.tally import Tally


@dataclass(frozen=True, slots=True)
class PlacedMarker:
    """`place`: in percent of the time axis. `number`: by which the list below the charts names it."""

    place: float
    number: int
    marker: JobMarker


@dataclass(frozen=True, slots=True)
class PeriodNumbers:
    """The runs of a period. Times are in milliseconds, None without a run that has one."""

    runs: int
    down: int
    success: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    late: float | None


@dataclass(frozen=True, slots=True)
class JobCharts:
    """`rows`: the numbers of each span that has runs, newest first, with its text."""

    strip: StateStrip
    history: StateHistory
    charts: Sequence[LineChart]
    markers: Sequence[PlacedMarker]
    numbers: PeriodNumbers
    rows: Sequence[tuple[str, PeriodNumbers]]
    span: timedelta


async def read_job_charts(
    uses: Services, readers: Readers, principal: Principal, job: str, period: ChartPeriod, now: datetime
) -> JobCharts:
    """Return the charts. `now`: in the zone in which times are shown. Raises UnknownJob, StoreError."""
    since, until = period.since, period.until
    series, history, markers = await asyncio.gather(
        uses.stats.read_series(job, since, until),
        read_state_history(uses.changes, principal, job, since, min(until, now)),
        readers.markers.list_markers(principal, job, since, until),
    )
    axis = TimeAxis(since, until, now.tzinfo or UTC)
    placed = [PlacedMarker(axis.place(one.at), number, one) for number, one in enumerate(markers, 1)]
    rows = [(axis.format(point.start), sum_up(point.tally)) for point in reversed(series.points) if point.tally.runs]
    return JobCharts(
        draw_history(history, axis, min(until, now)),
        history,
        [_draw_times(series, axis), _draw_lateness(series, axis), _draw_success(series, axis)],
        placed,
        sum_up(series.total),
        rows,
        series.span,
    )


def sum_up(tally: Tally) -> PeriodNumbers:
    """Return the numbers of a tally."""
    p50, p95, p99 = quantiles(tally.response_time)
    return PeriodNumbers(tally.runs, tally.down, _success(tally), p50, p95, p99, tally.lateness.quantile(0.95))


def _draw_times(series: RunSeries, axis: TimeAxis) -> LineChart:
    return _draw_quantiles("Response time", series, axis, lambda tally: tally.response_time, (0.5, 0.95, 0.99))


def _draw_lateness(series: RunSeries, axis: TimeAxis) -> LineChart:
    return _draw_quantiles("Start after the due instant", series, axis, lambda tally: tally.lateness, (0.5, 0.95))


def _draw_quantiles(
    title: str, series: RunSeries, axis: TimeAxis, select: Callable[[Tally], Histogram], shares: Sequence[float]
) -> LineChart:
    lines = [
        ChartLine(f"p{share * 100:.0f}", style, [select(point.tally).quantile(share) for point in series.points])
        for share, style in zip(shares, ("first", "second", "third"), strict=False)
    ]
    highest = max((value for line in lines for value in line.values if value is not None), default=None)
    return _draw(title, series, lines, (axis, measure_axis(highest, describe_milliseconds)))


def _draw_success(series: RunSeries, axis: TimeAxis) -> LineChart:
    values = [_success(point.tally) for point in series.points]
    lowest = min((value for value in values if value is not None), default=None)
    return _draw("Success", series, [ChartLine("success", "first", values)], (axis, ratio_axis(lowest, percent)))


def _draw(title: str, series: RunSeries, lines: Sequence[ChartLine], axes: tuple[TimeAxis, ValueAxis]) -> LineChart:
    return draw_line_chart(title, [point.start for point in series.points], series.span, lines, axes)


def _success(tally: Tally) -> float | None:
    succeeded = tally.outcomes[0]
    counted = succeeded + tally.down
    return succeeded / counted if counted else None
