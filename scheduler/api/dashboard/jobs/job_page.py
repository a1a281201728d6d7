"""The page of a job at /api/dashboard/jobs/{name}: its state, charts of a period, runs, circuit, health and uptime.

Registered by scheduler.api.dashboard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from scheduler.api.dashboard.access.preferences import find_preferences
from scheduler.api.dashboard.jobs.chart_period import (
    WINDOWS,
    ChartPeriod,
    InvalidPeriod,
    default_period,
    find_default_window,
    list_months,
    parse_chart_period,
    period_around,
)
from scheduler.api.dashboard.jobs.job_charts import JobCharts, read_job_charts
from scheduler.api.dashboard.jobs.job_frame import respond_job
from scheduler.api.dashboard.jobs.run_list import OUTCOMES, TRIGGERS, OutcomeFilter, TriggerFilter, read_run_list
from scheduler.api.dashboard.jobs.timetable import create_timetable
from scheduler.api.dashboard.readers import readers_of
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.dependencies import CallerDep, Continuation, JobName, ServicesDep
from scheduler.api.routing import ApiRouter
from scheduler.catalog.catalog import UnknownJob
from scheduler.errors import NotFound, OperationError
from scheduler.features.heartbeats.queries import HeartbeatView
from scheduler.identity.caller import Caller
from scheduler.queries.overview.job_view import JobView
from scheduler.services import Services

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
