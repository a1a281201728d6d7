"""The route of trends."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Query

from jobs.trends import MeasureName
from scheduler.api.parameters import ZoneParameter, parse_zone_parameter
from scheduler.api.routing import ApiRouter, CallerDep, JobName, ServicesDep
from scheduler.features.trends.models import LevelTrendModel
from scheduler.features.trends.queries import DEFAULT_DAYS, MAX_DAYS, MIN_DAYS

router = ApiRouter("stats", by_tag=True)

_Measure = Annotated[MeasureName, Query(description="What is examined")]
_Days = Annotated[int, Query(ge=MIN_DAYS, le=MAX_DAYS, description="Days until now")]


@router.read("/api/jobs/{name}/trend", problems=(HTTPStatus.UNPROCESSABLE_ENTITY,))
async def get_trend(
    services: ServicesDep,
    caller: CallerDep,
    name: JobName,
    measure: _Measure = "response_time",
    days: _Days = DEFAULT_DAYS,
    timezone: ZoneParameter = None,
) -> LevelTrendModel:
    """Return when the level of a job's response times, durations, success rate or lateness changed, and what was
    deployed or changed near that.

    Daily and weekly repetition, by the clocks of `timezone`, a slow drift or a single slow hour is not a change.
    """
    zone = parse_zone_parameter(timezone)
    return await services.trends.read_trend(caller.principal, name, measure=measure, days=days, zone=zone)
