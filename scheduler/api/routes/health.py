"""The routes for the scheduler's own health, for container probes, pipelines, monitors and operators.

In the Functions host the health routes require no key, so they omit the messages of parts, which can name hosts,
accounts, paths and jobs. /api/status, which requires a key, includes them.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from scheduler.api.dependencies import ServicesDep
from scheduler.api.health_response import create_health_response
from scheduler.api.models.runs import HealthModel, LiveModel
from scheduler.api.problems import PROBLEM_RESPONSES

# Unknown query parameters are accepted: some probes add one to bypass caches.
router = APIRouter(prefix="/api", tags=["health"], responses=PROBLEM_RESPONSES)

_UNREADY: dict[int | str, dict[str, Any]] = {503: {"model": HealthModel, "description": "A part is down"}}


@router.get("/health/live")
async def live() -> LiveModel:
    """Report that the process responds. No part is checked, so that a failed part does not restart the container."""
    return LiveModel()


@router.get("/health", responses=_UNREADY)
async def health(request: Request, uses: ServicesDep, response: Response) -> HealthModel:
    """Report the health of every part: 200 if all work or are degraded, 503 if one is down.

    In the Functions host, where this route requires no key, the messages of parts are empty; see /api/status.
    """
    return await _report(uses, response, told=not request.app.state.keyed)


@router.get("/health/ready", responses=_UNREADY)
async def ready(request: Request, uses: ServicesDep, response: Response) -> HealthModel:
    """Report whether the scheduler can run jobs. Deployment pipelines wait for it."""
    return await health(request, uses, response)


@router.get("/status", responses=_UNREADY)
async def status(uses: ServicesDep, response: Response) -> HealthModel:
    """Report the health of every part with its message."""
    return await _report(uses, response, told=True)


async def _report(uses: ServicesDep, response: Response, *, told: bool) -> HealthModel:
    model, response.status_code, headers = await create_health_response(uses, with_messages=told)
    response.headers.update(headers)
    return model
