"""The route for the uptime of a job by time."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query

from scheduler.api.models.statistics.downtime import DowntimeModel
from scheduler.api.routes.statistics.periods import MonthParameter, ZoneParameter, answer_invalid, parse_zone_parameter
from scheduler.api.routing import ApiRouter, JobName, ServicesDep
from scheduler.queries.periods import parse_range, parse_span

router = ApiRouter("jobs", by_tag=True)

_Window = Annotated[
    Literal["24h", "7d", "30d", "90d", "365d"] | None,
    Query(description="Time until now. Default: 30d, unless a range or a month is given"),
]
_From = Annotated[
    str | None,
    Query(
        alias="from",
        max_length=50,
        description="Beginning: ISO 8601, UTC without an offset; or a duration before now, 24h",
        examples=["2026-11-25T01:00:00Z"],
    ),
]
_To = Annotated[
    str | None,
    Query(alias="to", max_length=50, description="End, in the same forms", examples=["2026-11-25T02:00:00Z"]),
]


@router.read("/api/jobs/{name}/downtime")
async def get_downtime(
    services: ServicesDep,
    name: JobName,
    window: _Window = None,
    since: _From = None,
    until: _To = None,
    month: MonthParameter = None,
    timezone: ZoneParameter = None,
) -> DowntimeModel:
    """Return the uptime of a job by time: when alerts that count as downtime fired, and what is excluded."""
    zone, now = parse_zone_parameter(timezone), services.clock.now()
    within = answer_invalid(lambda: parse_range(since, until, month, zone, now))
    period = answer_invalid(lambda: parse_span(window, within, now))
    return DowntimeModel.from_downtime(await services.downtimes.read_downtime(name, period))
