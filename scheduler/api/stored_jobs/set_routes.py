"""The routes that list, plan and apply sets of stored jobs."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Path, Query, Response

from jobs.definition import NAME_PATTERN
from scheduler.api.declared_routes import JSON_TYPE
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, Limit, ServicesDep
from scheduler.api.stored_jobs.json_bodies import SET_BODY, JsonObject
from scheduler.api.stored_jobs.routes import AllowLiteral
from scheduler.api.stored_jobs.set_models import SetList, SetPlanModel, serialize_plan
from scheduler.operations.stored_jobs.sets import SetPlan

MAX_SET_BODY: Final = 16 * 1024 * 1024
"""Bytes of a set, about 40,000 jobs."""

router = ApiRouter("sets", by_tag=True)

Owner = Annotated[
    str,
    Path(pattern=NAME_PATTERN, description="The owner of the set, such as a repository's name", examples=["reports"]),
]
Adopt = Annotated[bool, Query(description="Take over jobs of other sets, and jobs that were made by hand")]
PlanId = Annotated[
    str, Query(min_length=32, max_length=32, description="The `plan_id` of a plan of the same set", examples=["0" * 32])
]


@router.read("/api/sets")
async def list_sets(
    services: ServicesDep, caller: CallerDep, limit: Limit = 100, continuation: Continuation = None
) -> SetList:
    """List the sets by owner, with the number of their jobs and their last change."""
    page = services.stored_jobs.list_sets(caller, limit=limit, after=continuation or "")
    return SetList.from_page(page)


@router.manage(
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


@router.manage(
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
