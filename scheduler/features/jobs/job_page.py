"""The page of a job at /api/dashboard/jobs/{name}: its state, its charts in a period with the marks of changes, and the
list of its runs with filters and pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Query, Request
from fastapi.responses import Response

from jobs.problems import describe_wrong_choice, make_printable
from jobs.runs import Trigger
from scheduler.api.dashboard.chart_reading import JobCharts, export_chart, read_job_charts
from scheduler.api.dashboard.job_entries import NOT_UP, EntryList, list_entries
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
from scheduler.api.dashboard.readers import readers_of, share_page
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.dashboard.rendering.preferences import find_preferences
from scheduler.api.problems import InvalidInput, InvalidRequest
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, JobName, ServicesDep, parse_outcome
from scheduler.catalog.catalog import UnknownJob
from scheduler.errors import NotFound, OperationError
from scheduler.features.alerts.queries import AlertFilter
from scheduler.features.heartbeats.models import HeartbeatModel
from scheduler.features.jobs.plan_page import create_timetable
from scheduler.features.jobs.queries import JobAndRunQueries, JobView
from scheduler.features.objectives.models import ObjectiveModel
from scheduler.features.objectives.views import view_state
from scheduler.features.runs.queries import list_filtered_runs
from scheduler.features.statistics.periods import ANY_TIME, TimeRange
from scheduler.identity.principal import Caller
from scheduler.services import Services
from scheduler.stores.runs.repository import RUN_FILTERS, RunPage

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


MAX_ALERTS = 5
"""Rules that are pending or firing; the page of alerts explains all."""

router = ApiRouter(in_schema=False, by_tag=True)

_PeriodName = Annotated[str | None, Query(max_length=20)]
_From = Annotated[str | None, Query(alias="from", max_length=40)]
_To = Annotated[str | None, Query(alias="to", max_length=40)]
_ChartKey = Annotated[str | None, Query(max_length=20)]
_IncidentId = Annotated[str | None, Query(max_length=60)]


async def _read_shown_entries(
    entry: Annotated[str, Query(max_length=100)] = "",
    entries: Annotated[str, Query(max_length=20)] = "",
    entry_page: Annotated[int, Query(ge=1, le=1000)] = 1,
) -> tuple[str, str, int]:
    """Return the text that names of entries contain, NOT_UP for those that are not up alone, and the page of them."""
    return entry.strip(), NOT_UP if entries == NOT_UP else "", entry_page


_ShownEntriesDep = Annotated[tuple[str, str, int], Depends(_read_shown_entries)]


@router.read(f"{DASHBOARD_PATH}/jobs/{{name}}")
@share_page
async def show_job(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    name: JobName,
    shown_entries: _ShownEntriesDep,
    period: _PeriodName = None,
    begin: _From = None,
    end: _To = None,
    incident: _IncidentId = None,
    outcome: OutcomeFilter = None,
    trigger: TriggerFilter = None,
    continuation: Continuation = None,
    csv: _ChartKey = None,
) -> Response:
    """Show the page; with a continuation it lists older runs. `csv`: the chart whose numbers are returned instead."""
    view = await services.queries.view_job(name)
    uptime = await readers_of(request, services).availability.read_uptime(name)
    default = find_default_window(uptime.since, services.clock.now())
    chosen, problem = await _find_period(services, (period, begin, end, incident), request, default)
    if csv is not None:
        return export_chart(name, csv, (await _read_charts(request, services, caller, name, chosen)).charts)
    values = await asyncio.gather(
        read_run_list(services.queries, name, chosen, (outcome, trigger), continuation),
        _read_charts(request, services, caller, name, chosen),
        _find_heartbeat(services, view),
        _read_entries(services, caller, name, shown_entries),
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


async def _read_entries(services: Services, caller: Caller, name: str, shown: tuple[str, str, int]) -> EntryList | None:
    history = await services.changes.read_health_history(caller.principal, name)
    return None if history is None else list_entries(history, *shown, services.clock.now())


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
