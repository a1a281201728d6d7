"""The routes for statistics."""

from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo

from scheduler.api.models.statistics.stats import JobStatsModel, SelectionStatsModel, StatsModel, TagStatsModel
from scheduler.api.dependencies import JobName, ServicesDep
from scheduler.api.list_filters import (
    FromParameter,
    KindsParameter,
    NamesParameter,
    TagsParameter,
    ToParameter,
    parse_job_filters,
)
from scheduler.api.list_response import create_response_with_list
from scheduler.api.models.statistics.stats import JobStatsModel, SelectionStatsModel, StatsModel, TagStatsModel
from scheduler.api.routes.statistics.periods import (
    MonthParameter,
    WindowParameter,
    ZoneParameter,
    answer_invalid,
    parse_zone_parameter,
)
from scheduler.api.routing import ApiRouter, JobName, ServicesDep, create_response_with_list
from scheduler.queries.periods import Period, parse_period, parse_range
from scheduler.services import Services

router = ApiRouter("stats", by_tag=True)


@router.read("/api/stats")
async def get_stats(
    services: ServicesDep,
    window: WindowParameter = None,
    since: FromParameter = None,
    until: ToParameter = None,
    month: MonthParameter = None,
    timezone: ZoneParameter = None,
    name: NamesParameter = [],  # noqa: B006  # FastAPI copies it
    kind: KindsParameter = [],  # noqa: B006
    tag: TagsParameter = [],  # noqa: B006
) -> SelectionStatsModel:
    """Return the statistics of all selected jobs together.

    A tag without a value (`tag=team`) selects the jobs that have it, and adds the statistics of each of its values.
    """
    zone = parse_zone_parameter(timezone)
    period = read_period(services, window, since, until, month, zone)
    selection = parse_job_filters(name, kind, tag, [], [])
    group_by = next((one.key for one in selection.tags if one.value is None), None)
    found = await services.stats.read_selection(selection, period, zone, group_by)
    start = SelectionStatsModel.from_selection(replace(found, groups=()), group_by)
    return await create_response_with_list(  # type: ignore[return-value]  # FastAPI passes a response on
        start, found.groups, TagStatsModel.from_group
    )


@router.read("/api/jobs/{name}/stats")
async def get_job_stats(
    services: ServicesDep,
    name: JobName,
    window: WindowParameter = None,
    since: FromParameter = None,
    until: ToParameter = None,
    month: MonthParameter = None,
    timezone: ZoneParameter = None,
) -> JobStatsModel:
    """Return the statistics of a job. Runs count in the hour of their due instant, also when they are deleted."""
    zone = parse_zone_parameter(timezone)
    period = read_period(services, window, since, until, month, zone)
    return JobStatsModel(job=name, stats=StatsModel.from_stats(await services.stats.read_job(name, period, zone)))


def read_period(
    services: Services, window: str | None, since: str | None, until: str | None, month: str | None, zone: tzinfo
) -> Period:
    """Parse the parameters of a period. Raises UnusableValue."""
    now = services.clock.now()
    within = answer_invalid(lambda: parse_range(since, until, month, zone, now))
    return answer_invalid(lambda: parse_period(window, within, now, services.stats.oldest))
