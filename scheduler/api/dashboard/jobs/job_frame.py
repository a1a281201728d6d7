"""What every page of a job has: its headline with state and reason, its actions, its tabs.

Called by the pages of a job: scheduler.api.dashboard.jobs.job_page and those next to it.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.readers import readers_of
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import job_page_path
from scheduler.features.overview.job_view import JobView
from scheduler.services import Services

JOB_TABS: Final = {
    "state": ("State", ""),
    "alerts": ("Alerts", "/alerts"),
    "plan": ("Schedule", "/plan"),
    "definition": ("Definition", "/definition"),
}
"""The title and the path of each page of a job."""
PAUSE_SPANS: Final = (
    (900, "15 minutes"),
    (3600, "1 hour"),
    (4 * 3600, "4 hours"),
    (86400, "1 day"),
    (0, "until resumed"),
)
"""Seconds, and the text of the choice."""


async def respond_job(
    request: Request, uses: Services, view: JobView, tab: str, *, status: int = HTTPStatus.OK, **values: Any
) -> Response:
    """Return a page of a job. `tab`: its key in JOB_TABS; the template has that name."""
    name = view.entry.job.name
    standing, circuits = await asyncio.gather(
        readers_of(request, uses).availability.read_availability(name), uses.circuits.circuits_of_jobs([name])
    )
    return await respond(
        request,
        uses,
        f"job/{tab}.html",
        page="overview",
        status=status,
        view=view,
        job=view.entry.job,
        standing=standing,
        circuit=circuits.get(name),
        tab=tab,
        tabs={key: (title, job_page_path(name) + path) for key, (title, path) in JOB_TABS.items()},
        pause_spans=PAUSE_SPANS,
        **values,
    )
