"""The health routes: anonymous in the Functions host, asked by the container's probe, the pipeline and people."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response

from scheduler.api.models import HealthModel, LiveModel
from scheduler.api.parameters import Uses
from scheduler.api.problems import PROBLEM_RESPONSES, RETRY_AFTER

# Parameters are not looked at: some probes add one of their own against caches.
router = APIRouter(prefix="/api/health", tags=["health"], responses=PROBLEM_RESPONSES)

_UNREADY: dict[int | str, dict[str, Any]] = {
    503: {"model": HealthModel, "description": "A part is down; it is named with what to look at"}
}


@router.get("/live")
async def live() -> LiveModel:
    """The process answers. Nothing else is asked, so that a part being away does not restart the container."""
    return LiveModel()


@router.get("", responses=_UNREADY)
async def health(uses: Uses, response: Response) -> HealthModel:
    """Every part. 200 while work goes on (also when degraded), 503 when a part is down."""
    report = await uses.health.report()
    if not report.ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        response.headers["Retry-After"] = RETRY_AFTER
    return HealthModel.of(report, environment=uses.environment, version=uses.version)


@router.get("/ready", responses=_UNREADY)
async def ready(uses: Uses, response: Response) -> HealthModel:
    """Whether work can be taken on: the pipeline's smoke test waits for it."""
    return await health(uses, response)
