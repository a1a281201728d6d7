"""What the health routes say, whoever serves them. Used by health_routes, and by early before the whole API is made."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from scheduler.api.answer import RETRY_AFTER
from scheduler.api.models import HealthModel
from scheduler.services import Services


async def health_answer(services: Services, *, told: bool = True) -> tuple[HealthModel, HTTPStatus, Mapping[str, str]]:
    """The answer, its status and its headers. `told`: with what to look at for each part that is not well."""
    report = await services.health.report()
    in_force = services.queries.in_force()
    model = HealthModel.of(report, in_force, environment=services.environment, version=services.version, told=told)
    if report.ready:
        return model, HTTPStatus.OK, {}
    return model, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": RETRY_AFTER}
