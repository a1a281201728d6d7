"""The route that explains alerts. Not for callers that are limited to tags: parents and incidents name other jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from scheduler.api.dependencies import JobName, ServicesDep
from scheduler.api.models.alerting.explanations import AlertExplanationModel
from scheduler.api.problems import InvalidInput, UnusableValue
from scheduler.api.routing import ApiRouter
from scheduler.features.statistics.periods import InvalidTimeRange, parse_time_range

router = ApiRouter("incidents")


@router.read("/api/jobs/{name}/alert-explanation")
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
    return AlertExplanationModel.from_explanation(await services.alert_explainer.explain(name, instant, rule))
