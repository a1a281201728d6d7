"""The routes that list alerts and explain them.

The explanation is not for callers that are limited to tags: parents and incidents name other jobs.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from jobs.alerting.alert import AlertStatus
from scheduler.api.problems import InvalidInput, UnusableValue
from scheduler.api.routing import ApiRouter, Continuation, JobName, JobParameter, Limit, ServicesDep
from scheduler.features.alerts.models import AlertExplanationModel, AlertListModel
from scheduler.features.alerts.queries import AlertFilter
from scheduler.features.statistics.periods import InvalidTimeRange, parse_time_range

alerts_router = ApiRouter("incidents", by_tag=True)


@alerts_router.read("/api/alerts")
async def list_alerts(
    services: ServicesDep,
    job: JobParameter = None,
    status: Annotated[
        str | None,
        Query(
            description="Only pending or only firing ones",
            pattern="^(pending|firing)$",
            json_schema_extra={"enum": ["pending", "firing"]},
        ),
    ] = None,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> AlertListModel:
    """List the rules whose condition is met now, by job or group. `job`: also a group."""
    criteria = AlertFilter(job, None if status is None else AlertStatus(status))
    return await services.alerts.list_alerts(criteria, limit=limit, after=continuation or "")


explanations_router = ApiRouter("incidents")


@explanations_router.read("/api/jobs/{name}/alert-explanation")
async def explain_alert(
    services: ServicesDep,
    name: JobName,
    at: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=50,
            description="Instant: ISO 8601, UTC without an offset; or a duration before now, 8h. Default: now",
            examples=["2026-11-25T01:00:00Z"],
        ),
    ] = None,
    rule: Annotated[str | None, Query(max_length=100, description="Only this rule of the job")] = None,
) -> AlertExplanationModel:
    """Explain in English why an alert of a job did or did not notify at an instant, and what would have happened
    otherwise.
    """
    try:
        instant = parse_time_range(None, at, services.clock.now()).until
    except InvalidTimeRange as error:
        raise UnusableValue(InvalidInput(location="query.at", message=error.message, hint=error.hint)) from None
    return await services.alert_explainer.explain(name, instant, rule)
