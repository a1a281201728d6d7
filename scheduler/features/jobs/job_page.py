"""The page of a job at /api/dashboard/jobs/{name}: its state, its charts in a period with the marks of changes, and the
list of its runs with filters and pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Query, Request
from fastapi.responses import Response

from jobs.formats import describe_milliseconds, describe_span, format_count
from jobs.problems import describe_wrong_choice, make_printable
from jobs.runs import Trigger
from jobs.runs.histogram import Histogram
from jobs.runs.states import JobStatus, StateChange
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
from scheduler.api.dashboard.readers import Readers, readers_of
from scheduler.api.dashboard.rendering.charts import (
    ChartLine,
    LineChart,
    StateSpan,
    StateStrip,
    TimeAxis,
    ValueAxis,
    draw_line_chart,
    draw_state_strip,
    measure_axis,
    ratio_axis,
)
from scheduler.api.dashboard.rendering.formatting import percent
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.dashboard.rendering.preferences import find_preferences
from scheduler.api.problems import InvalidInput, InvalidRequest
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, JobName, ServicesDep, parse_outcome
from scheduler.catalog.catalog import UnknownJob
from scheduler.errors import NotFound, OperationError
from scheduler.features.alerts.queries import AlertFilter
from scheduler.features.changes.job_markers import JobMarker
from scheduler.features.changes.queries import StateHistory, read_state_history
from scheduler.features.heartbeats.models import HeartbeatModel
from scheduler.features.jobs.plan_page import create_timetable
from scheduler.features.jobs.queries import JobAndRunQueries, JobView
from scheduler.features.objectives.models import ObjectiveModel
from scheduler.features.objectives.views import view_state
from scheduler.features.runs.queries import list_filtered_runs
from scheduler.features.statistics.periods import ANY_TIME, TimeRange
from scheduler.features.statistics.sums import RunSeries, quantiles
from scheduler.identity.principal import Caller, Principal
from scheduler.services import Services
from scheduler.stores.runs.repository import RUN_FILTERS, RunPage
from scheduler.stores.runs.rollups.tally import Tally

RUNS_PER_PAGE: Final = 20
"""Runs listed on a page."""
OUTCOMES: Final = tuple(str(outcome) for outcome in RUN_FILTERS)
TRIGGERS: Final = tuple(str(trigger) for trigger in Trigger)
_MILLISECOND = timedelta(milliseconds=1)

OutcomeFilter = Annotated[str | None, Query(max_length=20)]
TriggerFilter = Annotated[str | None, Query(max_length=20)]


@dataclass(frozen=True, slots=True)
class ListedRuns:
    """`query`: the parameters of the filters. `is_older`: it is not the first page."""

    page: RunPage
    outcome: str
    trigger: str
    query: Mapping[str, str]
    is_older: bool


async def read_run_list(
    queries: JobAndRunQueries,
    job: str,
    period: ChartPeriod,
    filters: tuple[str | None, str | None],
    continuation: str | None,
) -> ListedRuns:
    """Return the runs of the period, or the latest ones if it is the default. Raises InvalidRequest, StoreError."""
    outcome, trigger = parse_outcome(filters[0] or None), _parse_trigger(filters[1])
    due = ANY_TIME if period.is_default else TimeRange(period.since, period.until - _MILLISECOND)
    try:
        page = await list_filtered_runs(
            queries, job, outcome=outcome, trigger=trigger, due=due, limit=RUNS_PER_PAGE, continuation=continuation
        )
    except ValueError as error:
        message = make_printable(str(error), 200)
        raise InvalidRequest(InvalidInput(location="query.continuation", message=message)) from None
    query = {name: value for name, value in (("outcome", outcome), ("trigger", trigger)) if value}
    return ListedRuns(page, outcome or "", trigger or "", query, continuation is not None)


def _parse_trigger(trigger: str | None) -> str | None:
    if trigger and trigger not in TRIGGERS:
        message, hint = describe_wrong_choice(trigger, TRIGGERS)
        raise InvalidRequest(InvalidInput(location="query.trigger", message=message, hint=hint))
    return trigger or None


_BAD = frozenset({JobStatus.DOWN, JobStatus.SILENT})


def draw_history(history: StateHistory, axis: TimeAxis, until: datetime) -> StateStrip:
    """Return the strip of a period. `until`: now if the period has not ended."""
    spans = list(list_state_spans(history, axis, until))
    return draw_state_strip(spans, axis, _describe(spans, history, axis))


def list_state_spans(history: StateHistory, axis: TimeAxis, until: datetime) -> Iterator[StateSpan]:
    """Yield the states of the period, in the order of time."""
    changes = [*reversed(history.changes)]
    ends = [*(change.at for change in changes), until]
    begin = axis.since
    if history.before is not None:
        yield _to_span(history.before, begin, ends[0])
    elif history.known_since is not None:
        yield StateSpan(None, begin, ends[0])
    for change, end in zip(changes, ends[1:], strict=True):
        yield _to_span(change, change.at, end)


def _to_span(change: StateChange, begin: datetime, end: datetime) -> StateSpan:
    return StateSpan(change.state, begin, end, change.cause.message)


def _describe(spans: list[StateSpan], history: StateHistory, axis: TimeAxis) -> str:
    period = f"States, {axis.format(axis.since)} to {axis.format(axis.until)}"
    bad = [span for span in spans if span.state in _BAD]
    down = sum((span.end - span.begin for span in bad), timedelta())
    latest = next((span.state for span in reversed(spans) if span.state is not None), None)
    if latest is None:
        return f"{period}: not known."
    outages = f"down {format_count(len(bad), 'time')}, {describe_span(down.total_seconds())} in all"
    changes = format_count(len(history.changes), "change")
    return f"{period}: {outages if bad else 'never down'}; {changes}; at the end {latest}."


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
    services: Services, readers: Readers, principal: Principal, job: str, period: ChartPeriod, now: datetime
) -> JobCharts:
    """Return the charts. `now`: in the zone in which times are shown. Raises UnknownJob, StoreError."""
    since, until = period.since, period.until
    series, history, markers = await asyncio.gather(
        services.stats.read_series(job, since, until),
        read_state_history(services.changes, principal, job, since, min(until, now)),
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


MAX_ALERTS = 5
"""Rules that are pending or firing; the page of alerts explains all."""

router = ApiRouter(in_schema=False, by_tag=True)

_PeriodName = Annotated[str | None, Query(max_length=20)]
_From = Annotated[str | None, Query(alias="from", max_length=40)]
_To = Annotated[str | None, Query(alias="to", max_length=40)]
_IncidentId = Annotated[str | None, Query(max_length=60)]


@router.read(f"{DASHBOARD_PATH}/jobs/{{name}}")
async def show_job(
    request: Request,
    services: ServicesDep,
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
    view = await services.queries.view_job(name)
    uptime = await readers_of(request, services).availability.read_uptime(name)
    default = find_default_window(uptime.since, services.clock.now())
    chosen, problem = await _find_period(services, (period, begin, end, incident), request, default)
    values = await asyncio.gather(
        read_run_list(services.queries, name, chosen, (outcome, trigger), continuation),
        _read_charts(request, services, caller, name, chosen),
        _find_heartbeat(services, view),
        services.changes.read_health_history(caller.principal, name),
        services.alerts.list_alerts(AlertFilter(subject=name), limit=MAX_ALERTS),
        _read_objective(services, name),
    )
    return await respond_job(
        request,
        services,
        view,
        "state",
        status=HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
        timetable=create_timetable(view, services.queries, 1),
        period=chosen,
        default_window=default,
        uptime=uptime,
        period_problem=problem,
        **dict(zip(_READ, values, strict=True)),
        **_choices(request, services),
    )


_READ: Final = ("runs", "charts", "heartbeat", "health", "alerts", "objective")


async def _read_objective(services: Services, name: str) -> ObjectiveModel | None:
    """Return the objective that the job itself has."""
    found = next((each for each in services.objectives.list_objectives() if each.job == name), None)
    return None if found is None else view_state(await services.objectives.read_recent(found))


async def _read_charts(
    request: Request, services: Services, caller: Caller, name: str, period: ChartPeriod
) -> JobCharts:
    now = services.clock.now().astimezone(find_preferences(request).zone)
    return await read_job_charts(services, readers_of(request, services), caller.principal, name, period, now)


def _choices(request: Request, services: Services) -> Mapping[str, object]:
    """Return what the user can choose in the forms."""
    months = list_months(find_preferences(request).zone, services.clock.now())
    return {"windows": tuple(WINDOWS), "months": months, "outcomes": OUTCOMES, "triggers": TRIGGERS}


async def _find_period(
    services: Services, given: tuple[str | None, str | None, str | None, str | None], request: Request, default: str
) -> tuple[ChartPeriod, str]:
    """Return the period and an empty text, or the default one and what is wrong with the parameters."""
    now, (period, begin, end, incident) = services.clock.now(), given
    try:
        if incident:
            return period_around((await services.incidents.find_view(incident)).incident, now), ""
        return parse_chart_period(period, begin, end, find_preferences(request).zone, now, default), ""
    except (InvalidPeriod, NotFound) as error:
        return default_period(now, default), str(error)


async def _find_heartbeat(services: Services, view: JobView) -> HeartbeatModel | None:
    job = view.entry.job
    if job.check.kind != "heartbeat":
        return None
    try:
        return await services.heartbeats.view_heartbeat(job.name)
    except (UnknownJob, OperationError):
        return None  # the job was changed meanwhile
