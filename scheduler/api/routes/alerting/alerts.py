"""The route that lists the alerts that are pending or firing now."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from jobs.alerting.alert import AlertStatus
from scheduler.api.dependencies import Continuation, JobParameter, Limit, ServicesDep
from scheduler.api.models.alerting.alerts import AlertListModel, AlertModel
from scheduler.api.routing import ApiRouter
from scheduler.queries.alerting.alerts import AlertFilter

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
    page = await services.alerts.list_alerts(criteria, limit=limit, after=continuation or "")
    return AlertListModel(alerts=[AlertModel.from_alert(each) for each in page.alerts], continuation=page.continuation)
