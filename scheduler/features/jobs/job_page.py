"""The page of a job at /api/dashboard/jobs/{name}: its state, its runs, its charts with the marks of changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from jobs.formats.durations import describe_milliseconds
from jobs.runs.histogram import Histogram
from scheduler.api.dashboard.access.preferences import find_preferences
from scheduler.api.dashboard.job_frame import (
    WINDOWS,
    ChartPeriod,
    InvalidPeriod,
    default_period,
    find_default_window,
    list_months,
    parse_chart_period,
    period_around,
    respond_job,
)
from scheduler.api.dashboard.jobs.run_list import OUTCOMES, TRIGGERS, OutcomeFilter, TriggerFilter, read_run_list
from scheduler.api.dashboard.jobs.state_history import draw_history
from scheduler.api.dashboard.readers import Readers, readers_of
from scheduler.api.dashboard.rendering.chart_axes import TimeAxis, ValueAxis, measure_axis, ratio_axis
from scheduler.api.dashboard.rendering.formatting import percent
from scheduler.api.dashboard.rendering.line_chart import ChartLine, LineChart, draw_line_chart
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.dashboard.rendering.state_strip import StateStrip
from scheduler.api.dependencies import CallerDep, Continuation, JobName, ServicesDep
from scheduler.api.routing import ApiRouter
from scheduler.catalog.catalog import UnknownJob
from scheduler.errors import NotFound, OperationError
from scheduler.features.jobs.plan_page import create_timetable
from scheduler.identity.caller import Caller
from scheduler.identity.principal import Principal
from scheduler.queries.heartbeats import HeartbeatView
from scheduler.queries.history.job_markers import JobMarker
from scheduler.queries.history.states import StateHistory, read_state_history
from scheduler.queries.overview.job_view import JobView
from scheduler.queries.statistics.series import RunSeries
from scheduler.queries.statistics.sums import quantiles
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


MAX_NEXT_RUNS = 3
"""Due instants listed; the page of the schedule has more."""

router = ApiRouter(in_schema=False, by_tag=True)

_PeriodName = Annotated[str | None, Query(max_length=20)]
_From = Annotated[str | None, Query(alias="from", max_length=40)]
_To = Annotated[str | None, Query(alias="to", max_length=40)]
_IncidentId = Annotated[str | None, Query(max_length=60)]


@router.read(f"{DASHBOARD_PATH}/jobs/{{name}}")
async def show_job(
    request: Request,
    uses: ServicesDep,
    caller: CallerDep,
    name: JobName,
    period: _PeriodName = None,
    begin: _From = None,
    end: _To = None,
    incident: _IncidentId = None,
    outcome: OutcomeFilter = None,
    trigger: TriggerFilter = None,
    continuation: Continuation = None,
) -> Response:
    """Show the page; with a continuation it lists older runs."""
    view = await uses.queries.view_job(name)
    uptime = await readers_of(request, uses).availability.read_uptime(name)
    default = find_default_window(uptime.since, uses.clock.now())
    chosen, problem = await _find_period(uses, (period, begin, end, incident), request, default)
    values = await asyncio.gather(
        read_run_list(uses.queries, name, chosen, (outcome, trigger), continuation),
        _read_charts(request, uses, caller, name, chosen),
        _find_heartbeat(uses, view),
        uses.changes.read_health_history(caller.principal, name),
    )
    return await respond_job(
        request,
        uses,
        view,
        "state",
        status=HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
        timetable=create_timetable(view, uses.queries, MAX_NEXT_RUNS),
        period=chosen,
        default_window=default,
        uptime=uptime,
        period_problem=problem,
        **dict(zip(("runs", "charts", "heartbeat", "health"), values, strict=True)),
        **_choices(request, uses),
    )


async def _read_charts(request: Request, uses: Services, caller: Caller, name: str, period: ChartPeriod) -> JobCharts:
    now = uses.clock.now().astimezone(find_preferences(request).zone)
    return await read_job_charts(uses, readers_of(request, uses), caller.principal, name, period, now)


def _choices(request: Request, uses: Services) -> Mapping[str, object]:
    """Return what the user can choose in the forms."""
    months = list_months(find_preferences(request).zone, uses.clock.now())
    return {"windows": tuple(WINDOWS), "months": months, "outcomes": OUTCOMES, "triggers": TRIGGERS}


async def _find_period(
    uses: Services, given: tuple[str | None, str | None, str | None, str | None], request: Request, default: str
) -> tuple[ChartPeriod, str]:
    """Return the period and an empty text, or the default one and what is wrong with the parameters."""
    now, (period, begin, end, incident) = uses.clock.now(), given
    try:
        if incident:
            return period_around((await uses.incidents.find(incident)).view.incident, now), ""
        return parse_chart_period(period, begin, end, find_preferences(request).zone, now, default), ""
    except (InvalidPeriod, NotFound) as error:
        return default_period(now, default), str(error)


async def _find_heartbeat(uses: Services, view: JobView) -> HeartbeatView | None:
    job = view.entry.job
    if job.check.kind != "heartbeat":
        return None
    try:
        return await uses.heartbeats.view_heartbeat(job.name)
    except (UnknownJob, OperationError):
        return None  # the job was changed meanwhile
