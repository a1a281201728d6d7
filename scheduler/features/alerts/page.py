"""The page of a job's alerts at /api/dashboard/jobs/{name}/alerts: its rules and why they did or did not notify, its
incidents, its objectives.

It is not refreshed by itself: the explanation replays the last day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from fastapi import Query, Request
from fastapi.responses import Response

from jobs.definition.job_alerts import NamedObjective
from jobs.objectives import describe_window
from scheduler.api.dashboard.job_frame import InvalidPeriod, parse_local_time, respond_job
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.dashboard.rendering.preferences import find_preferences
from scheduler.api.routing import ApiRouter, JobName, ServicesDep
from scheduler.catalog.catalog import UnknownJob
from scheduler.features.alerts.models import AlertExplanationModel
from scheduler.features.incidents.queries import IncidentFilter, IncidentList
from scheduler.features.objectives.queries import ObjectiveState
from scheduler.services import Services

MAX_INCIDENTS: Final = 10
MAX_MEASURED: Final = 5
"""Objectives of the job whose budgets are read."""
MAX_MEASURED_JOBS: Final = 20
"""Jobs of such an objective: those of a larger one are not read for the page of one job."""

router = ApiRouter(in_schema=False, by_tag=True)

_Instant = Annotated[str | None, Query(max_length=40)]


@router.read(f"{DASHBOARD_PATH}/jobs/{{name}}/alerts")
async def show_alerts(request: Request, services: ServicesDep, name: JobName, at: _Instant = None) -> Response:
    """Show the page. `at`: the instant of the explanation, in the chosen zone; now without it."""
    view, zone = await services.queries.view_job(name), find_preferences(request).zone
    instant, problem = None, ""
    try:
        instant = parse_local_time(at, "at", zone) if at else None
    except InvalidPeriod as error:
        problem = str(error)
    measured, others = _select_objectives(services, name)
    explanation, incidents, objectives = await asyncio.gather(
        _explain(services, name, None if instant is None else min(instant, services.clock.now())),
        _list_incidents(services, name),
        _read_objectives(services, measured),
    )
    return await respond_job(
        request,
        services,
        view,
        "alerts",
        explanation=explanation,
        at="" if instant is None else f"{instant.astimezone(zone):%Y-%m-%dT%H:%M}",
        at_problem=problem,
        incidents=incidents,
        objectives=objectives,
        other_objectives=others,
        describe_window=describe_window,
    )


async def _explain(services: Services, name: str, at: datetime | None) -> AlertExplanationModel | None:
    """Return the explanation; None for a caller that is limited to tags, as it names other jobs and their incidents."""
    return None if services.is_limited else await services.alert_explainer.explain(name, at)


async def _list_incidents(services: Services, name: str) -> IncidentList:
    try:
        return await services.incidents.list_incidents(IncidentFilter(subject=name), limit=MAX_INCIDENTS)
    except UnknownJob:
        return IncidentList((), None)  # the job was deleted meanwhile


def _select_objectives(services: Services, name: str) -> tuple[Sequence[NamedObjective], Sequence[NamedObjective]]:
    """Return the objectives whose budgets are read, and the others that count the job."""
    objectives = [objective for objective in services.objectives.list_objectives() if name in objective.jobs]
    objectives.sort(key=lambda objective: objective.job != name)
    measured = [objective for objective in objectives if len(objective.jobs) <= MAX_MEASURED_JOBS][:MAX_MEASURED]
    return measured, [objective for objective in objectives if objective not in measured]


async def _read_objectives(services: Services, objectives: Sequence[NamedObjective]) -> Sequence[ObjectiveState]:
    return [await services.objectives.read_objective(each) for each in objectives]
