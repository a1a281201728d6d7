"""The scheduler's own health as the health routes return it.

scheduler.api.lazy_app serves it before FastAPI is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Literal

from starlette.requests import Request

from scheduler.health import HealthStatus, PartHealth
from scheduler.identity.principal import Principal
from scheduler.model_base import RETRY_AFTER, ResponseModel, example_values
from scheduler.services import Services
from scheduler.version import VERSION


class PartModel(ResponseModel):
    model_config = example_values(name="store", message="SQLite")

    name: str
    status: HealthStatus
    message: str


class JobSetModel(ResponseModel):
    """The current jobs: when they were loaded, the digest of their files (`generation`), and their number."""

    model_config = example_values(count=42)

    generation: str
    loaded_at: datetime
    count: int


class HealthModel(ResponseModel):
    """The health of the scheduler itself. `status` is the worst status of its parts."""

    model_config = example_values(environment="prod", version=VERSION)

    status: HealthStatus
    environment: str
    version: str
    jobs: JobSetModel
    parts: list[PartModel]


def _message_withheld(part: PartHealth) -> str:
    return "" if part.status is HealthStatus.OK else "see GET /api/status, which requires a key"


class LiveModel(ResponseModel):
    status: Literal["ok"] = "ok"


def shows_messages(services: Services, request: Request) -> bool:
    """Return whether a health route includes the messages of parts, which can name hosts, accounts, paths and jobs.

    Anyone can call these routes. Where the API is not on loopback, only callers without tag limits get the messages.
    """
    principal: Principal | None = request.scope.get("state", {}).get("principal")
    if not services.authentication.is_remote:
        return principal is None or not principal.tags
    return principal is not None and not principal.tags


async def create_health_response(
    services: Services, *, with_messages: bool = True
) -> tuple[HealthModel, HTTPStatus, Mapping[str, str]]:
    """Return the model, the status and the headers. `with_messages`: include the message of each part."""
    report = await services.health.report()
    jobs = services.queries.current_jobs()
    model = HealthModel(
        status=report.status,
        environment=services.environment,
        version=services.version,
        jobs=JobSetModel(generation=jobs.digest, loaded_at=jobs.loaded_at, count=len(jobs)),
        parts=[
            PartModel.from_object(part, message=part.message if with_messages else _message_withheld(part))
            for part in report.parts
        ],
    )
    if report.is_ready:
        return model, HTTPStatus.OK, {}
    return model, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": RETRY_AFTER}
