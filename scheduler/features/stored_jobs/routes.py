"""The routes that create, change and delete stored jobs, read their versions, and list, plan and apply their sets."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Path, Query, Request, Response

from jobs.definition import NAME_PATTERN
from scheduler.api.declared_routes import JSON_TYPE, MERGE_PATCH_TYPE
from scheduler.api.definition_requests import (
    DEFINITION_BODY,
    MAX_DEFINITION_BODY,
    PATCH_BODY,
    SET_BODY,
    JsonObject,
    MatchDep,
    MatchOrAbsenceDep,
)
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, Limit, ServicesDep, reload_services
from scheduler.features.jobs.models import JobDetail
from scheduler.features.jobs.views import read_job
from scheduler.features.stored_jobs.models import (
    DuplicateRequest,
    SetList,
    SetPlanModel,
    VersionDiff,
    VersionList,
    VersionModel,
)
from scheduler.features.stored_jobs.sets import SetPlan, serialize_plan
from scheduler.identity.principal import Caller

router = ApiRouter("jobs", by_tag=True)

StoredJobName = Annotated[str, Path(description="The job's name", examples=["reports-api"])]
VersionNumber = Annotated[int, Path(ge=1, le=2**31, description="The number of a version", examples=[1])]
AllowLiteral = Annotated[bool, Query(description="Store credentials that are written in the definition")]
_CONFLICT = (HTTPStatus.CONFLICT,)


@router.manage(
    "/api/jobs",
    method="POST",
    status_code=HTTPStatus.CREATED,
    openapi_extra=DEFINITION_BODY,
    max_body=MAX_DEFINITION_BODY,
    problems=_CONFLICT,
)
async def create_job(
    services: ServicesDep,
    caller: CallerDep,
    definition: JsonObject,
    request: Request,
    response: Response,
    allow_literal: AllowLiteral = False,
) -> JobDetail:
    """Store a new job. The body is a definition in the full or in the flat form, with its name.

    A literal credential, such as an Authorization header, is rejected unless `allow_literal` is true.
    """
    name = await services.operations.stored_jobs.create(definition, caller, allow_literal=allow_literal)
    response.headers["Location"] = f"/api/jobs/{name}"
    return await _read_changed(request, caller, name, response)


@router.manage(
    "/api/jobs/{name}",
    method="PUT",
    openapi_extra=DEFINITION_BODY,
    max_body=MAX_DEFINITION_BODY,
    problems=_CONFLICT,
    responses={201: {"model": JobDetail, "description": "The job was created"}},
)
async def put_job(
    services: ServicesDep,
    caller: CallerDep,
    name: StoredJobName,
    definition: JsonObject,
    precondition: MatchOrAbsenceDep,
    request: Request,
    response: Response,
    allow_literal: AllowLiteral = False,
) -> JobDetail:
    """Create a job with `If-None-Match: *`, or replace its definition with `If-Match`. Pauses and history stay."""
    jobs = services.operations.stored_jobs
    if await jobs.put(name, definition, precondition, caller, allow_literal=allow_literal):
        response.status_code = HTTPStatus.CREATED
        response.headers["Location"] = f"/api/jobs/{name}"
    return await _read_changed(request, caller, name, response)


@router.manage(
    "/api/jobs/{name}",
    method="PATCH",
    accepts=(MERGE_PATCH_TYPE,),
    max_body=MAX_DEFINITION_BODY,
    openapi_extra=PATCH_BODY,
    problems=_CONFLICT,
)
async def patch_job(
    services: ServicesDep,
    caller: CallerDep,
    name: StoredJobName,
    patch: JsonObject,
    precondition: MatchDep,
    request: Request,
    response: Response,
    allow_literal: AllowLiteral = False,
) -> JobDetail:
    """Change parts of a definition by a JSON merge patch (RFC 7396): null removes a key. The result is validated."""
    await services.operations.stored_jobs.patch(name, patch, precondition, caller, allow_literal=allow_literal)
    return await _read_changed(request, caller, name, response)


@router.manage(
    "/api/jobs/{name}/duplicate",
    method="POST",
    status_code=HTTPStatus.CREATED,
    max_body=MAX_DEFINITION_BODY,
    problems=_CONFLICT,
)
async def duplicate_job(
    services: ServicesDep,
    caller: CallerDep,
    name: StoredJobName,
    body: DuplicateRequest,
    request: Request,
    response: Response,
    allow_literal: AllowLiteral = False,
) -> JobDetail:
    """Store a copy of a job under a new name, also of a job of a file. History, pause and circuit are not copied."""
    await services.operations.stored_jobs.duplicate(name, body.name, body.patch, caller, allow_literal=allow_literal)
    response.headers["Location"] = f"/api/jobs/{body.name}"
    return await _read_changed(request, caller, body.name, response)


@router.manage("/api/jobs/{name}", status_code=HTTPStatus.NO_CONTENT, problems=_CONFLICT)
async def delete_job(services: ServicesDep, caller: CallerDep, name: StoredJobName, precondition: MatchDep) -> None:
    """Delete a job. Its versions and the history of its runs stay."""
    await services.operations.stored_jobs.delete(name, precondition, caller)


@router.read("/api/jobs/{name}/versions")
async def list_versions(services: ServicesDep, caller: CallerDep, name: StoredJobName) -> VersionList:
    """List the versions of a stored job, the latest first, also of a deleted job."""
    return await services.stored_jobs.list_versions(name, caller)


@router.read("/api/jobs/{name}/versions/{number}")
async def get_version(
    services: ServicesDep, caller: CallerDep, name: StoredJobName, number: VersionNumber
) -> VersionModel:
    """Return one version of a stored job."""
    return await services.stored_jobs.get_version(name, number, caller)


@router.read("/api/jobs/{name}/versions/{number}/diff")
async def compare_versions(
    services: ServicesDep,
    caller: CallerDep,
    name: StoredJobName,
    number: VersionNumber,
    against: Annotated[
        int, Query(ge=1, le=2**31, description="The number of the version to compare with", examples=[1])
    ],
) -> VersionDiff:
    """Return each field that differs between two versions, with its values."""
    return await services.stored_jobs.compare_versions(name, number, against, caller)


@router.manage("/api/jobs/{name}/versions/{number}/restore", method="POST", problems=_CONFLICT)
async def restore_version(
    services: ServicesDep,
    caller: CallerDep,
    name: StoredJobName,
    number: VersionNumber,
    precondition: MatchOrAbsenceDep,
    request: Request,
    response: Response,
    allow_literal: AllowLiteral = False,
) -> JobDetail:
    """Make the definition of an earlier version the current one, as a new version.

    `If-None-Match: *` restores a deleted job.
    """
    await services.operations.stored_jobs.restore(name, number, precondition, caller, allow_literal=allow_literal)
    return await _read_changed(request, caller, name, response)


async def _read_changed(request: Request, caller: Caller, name: str, response: Response) -> JobDetail:
    """Return a job after a change, with the header ETag."""
    job, response.headers["ETag"] = await read_job(await reload_services(request), caller, name)
    return job


MAX_SET_BODY: Final = 16 * 1024 * 1024
"""Bytes of a set, about 40,000 jobs."""

sets_router = ApiRouter("sets", by_tag=True)

Owner = Annotated[
    str,
    Path(pattern=NAME_PATTERN, description="The owner of the set, such as a repository's name", examples=["reports"]),
]
Adopt = Annotated[bool, Query(description="Take over jobs of other sets, and jobs that were made by hand")]
PlanId = Annotated[
    str, Query(min_length=32, max_length=32, description="The `plan_id` of a plan of the same set", examples=["0" * 32])
]


@sets_router.read("/api/sets")
async def list_sets(
    services: ServicesDep, caller: CallerDep, limit: Limit = 100, continuation: Continuation = None
) -> SetList:
    """List the sets by owner, with the number of their jobs and their last change."""
    return services.stored_jobs.list_sets(caller, limit=limit, after=continuation or "")


@sets_router.manage(
    "/api/sets/{owner}/plan",
    method="POST",
    openapi_extra=SET_BODY,
    max_body=MAX_SET_BODY,
    problems=(HTTPStatus.CONFLICT,),
)
async def plan_set(
    services: ServicesDep,
    caller: CallerDep,
    owner: Owner,
    document: JsonObject,
    adopt: Adopt = False,
    allow_literal: AllowLiteral = False,
) -> SetPlanModel:
    """Return what a desired set of jobs would change. The body is that of a job file: `jobs` and `defaults`.

    Jobs of this owner that the set does not contain are removed. Nothing is changed.
    """
    plan = await services.operations.job_sets.plan(owner, document, caller, adopt=adopt, allow_literal=allow_literal)
    return await _respond(plan)  # type: ignore[return-value]  # FastAPI passes a response on


@sets_router.manage(
    "/api/sets/{owner}/apply",
    method="POST",
    openapi_extra=SET_BODY,
    max_body=MAX_SET_BODY,
    problems=(HTTPStatus.CONFLICT,),
)
async def apply_set(
    services: ServicesDep,
    caller: CallerDep,
    owner: Owner,
    document: JsonObject,
    plan_id: PlanId,
    adopt: Adopt = False,
    dry_run: Annotated[bool, Query(description="Check the plan, and change nothing")] = False,
    allow_literal: AllowLiteral = False,
) -> SetPlanModel:
    """Make all changes of a plan together, or none: 409 if the stored jobs, the files or the set have changed since."""
    plan = await services.operations.job_sets.apply(
        owner, document, plan_id, caller, adopt=adopt, dry_run=dry_run, allow_literal=allow_literal
    )
    return await _respond(plan)  # type: ignore[return-value]  # FastAPI passes a response on


async def _respond(plan: SetPlan) -> Response:
    return Response(await asyncio.to_thread(serialize_plan, plan), media_type=JSON_TYPE)
