"""The editor of one job: /api/dashboard/jobs/{name}/edit and /api/dashboard/new-job. Registered by pages.py.

A job that the API stores is saved by PUT /api/jobs/{name}. For a job of a file the page writes its text and a diff.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.dependencies import CallerDep, JobName, ServicesDep
from scheduler.api.routing import ApiRouter
from scheduler.catalog.catalog import UnknownJob
from scheduler.queries.drafts.texts import editable_definition, file_of_origin
from scheduler.queries.job_files import write_definition

router = ApiRouter(in_schema=False, by_tag=True)

_NEW_JOB: Final[Mapping[str, Any]] = {"name": "", "schedule": "every 1m", "check": {"kind": "http", "url": ""}}


@router.read(f"{DASHBOARD_PATH}/jobs/{{name}}/edit")
async def edit_job(request: Request, uses: ServicesDep, caller: CallerDep, name: JobName) -> Response:
    """Show the editor of a job, also of a stored one that is not in force."""
    declared = uses.stored_jobs.find_declared(name, caller)
    if declared is None:
        uses.queries.require_job(name)  # names a similar job
        raise UnknownJob(name)
    definition = editable_definition(declared, uses.queries.current_jobs().find_job(name))
    return await respond(
        request,
        uses,
        "editing/edit.html",
        page="overview",
        name=name,
        definition=json.dumps(definition),
        text=write_definition(definition),
        file=file_of_origin(declared.origin) if declared.version is None else "",
        declared=declared,
        is_limited=uses.is_limited,
    )


@router.read(f"{DASHBOARD_PATH}/new-job")
async def create_job_page(request: Request, uses: ServicesDep) -> Response:
    """Show the editor of a new job."""
    return await respond(
        request,
        uses,
        "editing/edit.html",
        page="overview",
        name="",
        definition=json.dumps(_NEW_JOB),
        text=write_definition(_NEW_JOB),
        file="",
        declared=None,
        is_limited=uses.is_limited,
    )
