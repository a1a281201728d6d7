"""Creates the response of the health routes. Called by scheduler.api.routes.health and scheduler.api.lazy_app."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from scheduler.api.models.base import RETRY_AFTER
from scheduler.api.models.health import HealthModel
from scheduler.services import Services


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
