"""The editor of one job: /api/dashboard/jobs/{name}/edit and /api/dashboard/new-job. Registered by pages.py.

A job that the API stores is saved by PUT /api/jobs/{name}. For a job of a file the page writes its text and a diff.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Query, Request
from fastapi.responses import Response

from jobs.formats.definition_yaml import write_definition
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.routing import ApiRouter, CallerDep, JobName, ServicesDep
from scheduler.catalog.catalog import UnknownJob
from scheduler.identity.literals import show_definition
from scheduler.identity.principal import Caller
from scheduler.queries.drafts.texts import editable_definition, file_of_origin
from scheduler.queries.stored_jobs import DeclaredJob
from scheduler.services import Services

router = ApiRouter(in_schema=False, by_tag=True)

_NEW_JOB: Final[Mapping[str, Any]] = {"name": "", "schedule": "every 1m", "check": {"kind": "http", "url": ""}}


CopiedJob = Annotated[str | None, Query(max_length=100, description="The job whose definition is copied")]


@router.read(f"{DASHBOARD_PATH}/jobs/{{name}}/edit")
async def edit_job(request: Request, uses: ServicesDep, caller: CallerDep, name: JobName) -> Response:
    """Show the editor of a job, also of a stored one that is not in force."""
    declared = _find_declared(name, uses, caller)
    definition = _definition_of(name, declared, uses, caller)
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
async def create_job_page(request: Request, uses: ServicesDep, caller: CallerDep, copy: CopiedJob = None) -> Response:
    """Show the editor of a new job; `copy`: with the definition of this one."""
    definition = _NEW_JOB if copy is None else _definition_of(copy, _find_declared(copy, uses, caller), uses, caller)
    definition = {**definition, "name": ""}
    return await respond(
        request,
        uses,
        "editing/edit.html",
        page="overview",
        name="",
        definition=json.dumps(definition),
        text=write_definition(definition),
        file="",
        declared=None,
        is_limited=uses.is_limited,
    )


def _find_declared(name: str, uses: Services, caller: Caller) -> DeclaredJob:
    declared = uses.stored_jobs.find_declared(name, caller)
    if declared is None:
        uses.queries.require_job(name)  # names a similar job
        raise UnknownJob(name)
    return declared


def _definition_of(name: str, declared: DeclaredJob, uses: Services, caller: Caller) -> Mapping[str, Any]:
    definition = editable_definition(declared, uses.queries.current_jobs().find_job(name))
    return show_definition(definition, caller.principal)
