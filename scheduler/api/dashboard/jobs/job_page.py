"""The page of a job at /api/dashboard/jobs/{name}: its state, schedule, latest runs, uptime and definition.

Read-only; it links to the same data as JSON. Registered by scheduler.api.dashboard.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request
from fastapi.responses import Response

from jobs.problems import make_printable
from jobs.schedules import Schedule, zone_of
from scheduler.api.dashboard.readers import readers_of
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.dependencies import Continuation, JobName, ServicesDep
from scheduler.api.models.jobs import JobDetail
from scheduler.api.problems import InvalidInput, InvalidRequest
from scheduler.api.routing import ApiRouter
from scheduler.catalog.catalog import UnknownJob
from scheduler.errors import OperationError
from scheduler.queries.heartbeats import HeartbeatView
from scheduler.queries.jobs_and_runs import JobAndRunQueries, JobView
from scheduler.services import Services
from scheduler.stores.runs.repository import RunPage

RUNS_PER_PAGE = 20
"""Runs listed on a page."""
MAX_NEXT_RUNS = 5
"""Due instants listed."""

router = ApiRouter(in_schema=False, by_tag=True)


@dataclass(frozen=True, slots=True)
class Timetable:
    """`english`: the schedule as a sentence. `zone`: name of its time zone, empty for UTC.

    `upcoming`: due instants in UTC, each with its text in local time.
    """

    english: str
    zone: str
    upcoming: Sequence[tuple[datetime, str]]


@router.read(f"{DASHBOARD_PATH}/jobs/{{name}}")
async def show_job(request: Request, uses: ServicesDep, name: JobName, continuation: Continuation = None) -> Response:
    """Show the page; with a continuation it lists older runs."""
    standings = readers_of(request, uses).availability
    view = await uses.queries.view_job(name)
    runs, standing, uptime, heartbeat, circuits = await asyncio.gather(
        _list_runs(uses.queries, name, continuation),
        standings.read_availability(name),
        standings.read_uptime(name),
        _find_heartbeat(uses, view),
        uses.circuits.circuits_of_jobs([name]),
    )
    return await respond(
        request,
        uses,
        "job.html",
        page="overview",
        view=view,
        job=view.entry.job,
        timetable=_create_timetable(view, uses.queries),
        standing=standing,
        uptime=uptime,
        heartbeat=heartbeat,
        circuit=circuits.get(name),
        runs=runs,
        older=continuation is not None,
        definition=_definition_text(view),
    )


async def _list_runs(queries: JobAndRunQueries, name: str, continuation: str | None) -> RunPage:
    try:
        return await queries.list_runs(job=name, limit=RUNS_PER_PAGE, continuation=continuation)
    except ValueError as error:
        raise InvalidRequest(
            InvalidInput(location="query.continuation", message=make_printable(str(error), 200))
        ) from None


async def _find_heartbeat(uses: Services, view: JobView) -> HeartbeatView | None:
    job = view.entry.job
    if job.check.kind != "heartbeat":
        return None
    try:
        return await uses.heartbeats.view_heartbeat(job.name)
    except (UnknownJob, OperationError):
        return None  # the job was changed meanwhile


def _create_timetable(view: JobView, queries: JobAndRunQueries) -> Timetable | None:
    """Return the timetable; None for a job that is disabled or has no schedule."""
    job = view.entry.job
    if job.schedule is None or not job.enabled:
        return None
    from jobs.schedules.explanations.schedules import explain_schedule  # imported only when a page is requested

    upcoming = [(due, _local_text(due, job.schedule)) for due in queries.next_due(view, MAX_NEXT_RUNS)]
    zone = zone_of(job.schedule)
    return Timetable(explain_schedule(job.schedule), zone.name if zone is not None else "", upcoming)


def _local_text(due: datetime, schedule: Schedule) -> str:
    zone = zone_of(schedule)
    local = due if zone is None else due.astimezone(zone.info)
    fraction = f".{local.microsecond // 1000:03}" if local.microsecond else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{fraction} {local:%Z}"


def _definition_text(view: JobView) -> str:
    """Return the definition as in GET /api/jobs/{name}, with secrets by name only."""
    return json.dumps(JobDetail.definition_json(view), indent=2, ensure_ascii=False)
