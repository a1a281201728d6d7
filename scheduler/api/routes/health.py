"""How the scheduler itself is: for the container's probe, the pipeline, monitors and people.

In the Functions host the health routes need no key, so there they tell nobody what is inside: a part's message may name
hosts, accounts, paths and jobs. /api/status tells it, to those with a key.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from scheduler.api.dependencies import ServicesDep
from scheduler.api.health_response import create_health_response
from scheduler.api.models.runs import HealthModel, LiveModel
from scheduler.api.problems import PROBLEM_RESPONSES

# Parameters are not looked at: some probes add one of their own against caches.
router = APIRouter(prefix="/api", tags=["health"], responses=PROBLEM_RESPONSES)

_UNREADY: dict[int | str, dict[str, Any]] = {
    503: {"model": HealthModel, "description": "A part is down; it is named with what to look at"}
}


@router.get("/health/live")
async def live() -> LiveModel:
    """The process answers. Nothing else is asked, so that a part being away does not restart the container."""
    return LiveModel()


@router.get("/health", responses=_UNREADY)
async def health(request: Request, uses: ServicesDep, response: Response) -> HealthModel:
    """Every part. 200 while work goes on (also when degraded), 503 when a part is down.

    Where this needs no key but all else does, it names the parts that are not well and leaves out why: see /api/status.
    """
    return await _report(uses, response, told=not request.app.state.keyed)


@router.get("/health/ready", responses=_UNREADY)
async def ready(request: Request, uses: ServicesDep, response: Response) -> HealthModel:
    """Whether work can be taken on: the pipeline's smoke test waits for it."""
    return await health(request, uses, response)


@router.get("/status", responses=_UNREADY)
async def status(uses: ServicesDep, response: Response) -> HealthModel:
    """The same as /api/health, with what to look at for each part that is not well."""
    return await _report(uses, response, told=True)


async def _report(uses: ServicesDep, response: Response, *, told: bool) -> HealthModel:
    model, response.status_code, headers = await create_health_response(uses, with_messages=told)
    response.headers.update(headers)
    return model
