"""The routes for the scheduler's own health, for container probes, pipelines, monitors and operators.

The health routes need no caller. Where the API is not on loopback, they omit the messages of parts, which can name
hosts, accounts, paths and jobs, unless a caller is authenticated. /api/status, which needs a caller, includes them.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from scheduler.api.health import HealthModel, LiveModel, create_health_response, shows_messages
from scheduler.api.routing import ApiRouter, ServicesDep

# Unknown query parameters are accepted: some probes add one to bypass caches.
router = ApiRouter("health", accepts_unknown_query=True)

_UNREADY: dict[int | str, dict[str, Any]] = {503: {"model": HealthModel, "description": "A part is down"}}


@router.public("/api/health/live")
async def live() -> LiveModel:
    """Report that the process responds. No part is checked, so that a failed part does not restart the container."""
    return LiveModel()


@router.public("/api/health", responses=_UNREADY)
async def health(request: Request, services: ServicesDep, response: Response) -> HealthModel:
    """Report the health of every part: 200 if all work or are degraded, 503 if one is down.

    The messages of parts are empty for a caller that is not authenticated, unless the API is on loopback.
    """
    return await _report(services, response, with_messages=shows_messages(services, request))


@router.public("/api/health/ready", responses=_UNREADY)
async def ready(request: Request, services: ServicesDep, response: Response) -> HealthModel:
    """Report whether the scheduler can run jobs. Deployment pipelines wait for it."""
    return await health(request, services, response)


@router.read("/api/status", responses=_UNREADY)
async def status(services: ServicesDep, response: Response) -> HealthModel:
    """Report the health of every part with its message."""
    return await _report(services, response, with_messages=True)


async def _report(services: ServicesDep, response: Response, *, with_messages: bool) -> HealthModel:
    model, response.status_code, headers = await create_health_response(services, with_messages=with_messages)
    response.headers.update(headers)
    return model
