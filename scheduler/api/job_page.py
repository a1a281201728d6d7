"""The page of a job at /api/dashboard/jobs/{name}: how it is, when it runs, its last runs, uptime and definition.

Plain HTML that reads only; links lead to the same as JSON. Registered by dashboard.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from jobs.problems import printable
from jobs.schedules import Schedule, zone_of
from scheduler.api.job_standing import Standings
from scheduler.api.models import JobDetail
from scheduler.api.parameters import Continuation, JobName, Uses, only_known_parameters
from scheduler.api.problems import Invalid, InvalidRequest
from scheduler.api.rendering import DASHBOARD, render
from scheduler.catalog import UnknownJob
from scheduler.heartbeats import HeartbeatView
from scheduler.operations.errors import NotDone
from scheduler.queries import JobView, Queries
from scheduler.services import Services
from scheduler.stores.runs import RunPage

RUNS = 20
"""Runs on a page."""
UPCOMING = 5
"""Next runs that are listed."""

router = APIRouter(dependencies=[Depends(only_known_parameters)])


@dataclass(frozen=True, slots=True)
class Timetable:
    """`english`: the schedule in a sentence; `zone`: the name of the zone of its clock, empty for UTC.

    `upcoming`: due instants in UTC, each with its text on the clock of the zone.
    """

    english: str
    zone: str
    upcoming: Sequence[tuple[datetime, str]]


@router.get(f"{DASHBOARD}/jobs/{{name}}", include_in_schema=False)
async def job_page(request: Request, uses: Uses, name: JobName, continuation: Continuation = None) -> HTMLResponse:
    """The page; with a continuation, of older runs."""
    standings: Standings = request.app.state.standings
    view = await uses.queries.job(name)
    runs, standing, uptime, heartbeat, circuits = await asyncio.gather(
        _runs(uses.queries, name, continuation),
        standings.of(name),
        standings.uptime(name),
        _heartbeat(uses, view),
        uses.circuits.of_jobs([name]),
    )
    html = render(
        "job.html",
        request,
        now=uses.clock.now(),
        environment=uses.environment,
        version=uses.version,
        view=view,
        job=view.entry.job,
        timetable=_timetable(view, uses.queries),
        standing=standing,
        uptime=uptime,
        heartbeat=heartbeat,
        circuit=circuits.get(name),
        runs=runs,
        older=continuation is not None,
        definition=_definition(view),
    )
    return HTMLResponse(html)


async def _runs(queries: Queries, name: str, continuation: str | None) -> RunPage:
    try:
        return await queries.runs(job=name, limit=RUNS, continuation=continuation)
    except ValueError as error:
        raise InvalidRequest(Invalid(where="query.continuation", message=printable(str(error), 200))) from None


async def _heartbeat(uses: Services, view: JobView) -> HeartbeatView | None:
    job = view.entry.job
    if job.check.kind != "heartbeat":
        return None
    try:
        return await uses.heartbeats.view(job.name)
    except (UnknownJob, NotDone):
        return None  # changed in this moment


def _timetable(view: JobView, queries: Queries) -> Timetable | None:
    """None for a job that no schedule runs."""
    job = view.entry.job
    if job.schedule is None or not job.enabled:
        return None
    from jobs.schedules.explain import explain  # for who looks at a page

    upcoming = [(due, _on_clock(due, job.schedule)) for due in queries.next_runs(view, UPCOMING)]
    zone = zone_of(job.schedule)
    return Timetable(explain(job.schedule), zone.name if zone is not None else "", upcoming)


def _on_clock(due: datetime, schedule: Schedule) -> str:
    zone = zone_of(schedule)
    local = due if zone is None else due.astimezone(zone.info)
    fraction = f".{local.microsecond // 1000:03}" if local.microsecond else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{fraction} {local:%Z}"


def _definition(view: JobView) -> str:
    """As GET /api/jobs/{name} shows it: secrets by name only."""
    return json.dumps(JobDetail.definition_of(view), indent=2, ensure_ascii=False)
