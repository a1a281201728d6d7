"""Creates the response of the health routes. Called by scheduler.api.routes.health and scheduler.api.lazy_app."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request

from scheduler.api.models.base import RETRY_AFTER
from scheduler.api.models.health import HealthModel
from scheduler.identity.principal import Principal
from scheduler.services import Services


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
    in_force = services.queries.current_jobs()
    model = HealthModel.from_report(
        report, in_force, environment=services.environment, version=services.version, with_messages=with_messages
    )
    if report.is_ready:
        return model, HTTPStatus.OK, {}
    return model, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": RETRY_AFTER}
