"""The routes of uptime and statistics, and those that export runs, statistics and changes of states."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import StreamingResponse

from scheduler.api.parameters import (
    AtOrAfter,
    AtOrBefore,
    EnteredStates,
    FromParameter,
    KindsParameter,
    MonthParameter,
    NamesParameter,
    TagsParameter,
    ToParameter,
    WindowParameter,
    ZoneParameter,
    answer_invalid,
    parse_job_filters,
    parse_run_filters,
    parse_zone_parameter,
)
from scheduler.api.problems import InvalidInput, UnusableValue
from scheduler.api.routing import (
    ApiRouter,
    CallerDep,
    JobName,
    JobParameter,
    Limit,
    OutcomeParameter,
    ServicesDep,
    create_response_with_list,
    parse_outcome,
)
from scheduler.features.changes.queries import CHANGE_FIELDS, ChangeFilter
from scheduler.features.statistics.comparison import ComparisonRequest
from scheduler.features.statistics.downtime import view_downtime
from scheduler.features.statistics.exports import (
    RUN_FIELDS,
    STATS_FIELDS,
    ExportFormat,
    Rows,
    export_lines,
    export_runs,
    export_stats,
)
from scheduler.features.statistics.models import (
    ComparisonModel,
    DowntimeModel,
    JobStatsModel,
    SelectionStatsModel,
    SlowestModel,
    UptimeModel,
)
from scheduler.features.statistics.periods import InvalidTimeRange, Period, parse_period, parse_range, parse_span
from scheduler.features.statistics.queries import view_group, view_selection, view_stats
from scheduler.features.statistics.slowest import BY_PATTERN
from scheduler.features.statistics.uptime import view_uptime
from scheduler.services import Services

uptime_router = ApiRouter("jobs", by_tag=True)


@uptime_router.read("/api/jobs/{name}/uptime")
async def get_uptime(services: ServicesDep, name: JobName) -> UptimeModel:
    """Return the ratio and mean time of successful runs in 24 h to 365 days, and the downtime of three months."""
    return view_uptime(await services.uptimes.read_uptime(name))


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


@uptime_router.read("/api/jobs/{name}/downtime")
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
    return view_downtime(await services.downtimes.read_downtime(name, period))


stats_router = ApiRouter("stats", by_tag=True)


@stats_router.read("/api/stats")
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
    group_by = next((tag.key for tag in selection.tags if tag.value is None), None)
    selected = await services.stats.read_selection(selection, period, zone, group_by)
    start = view_selection(replace(selected, groups=()), group_by)
    return await create_response_with_list(  # type: ignore[return-value]  # FastAPI passes a response on
        start, selected.groups, view_group
    )


@stats_router.read("/api/jobs/{name}/stats")
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
    return JobStatsModel(job=name, stats=view_stats(await services.stats.read_job(name, period, zone)))


_By = Annotated[str, Query(pattern=BY_PATTERN, description="`job`, `host`, or `tag:KEY` for the values of a tag")]
_Sort = Annotated[
    Literal["p95", "change", "slower", "p50", "p99", "runs", "name"],
    Query(description="The largest first, or by name; `slower` for those that got slower first, by the share"),
]


@stats_router.read("/api/stats/slowest")
async def get_slowest(
    services: ServicesDep,
    window: WindowParameter = None,
    since: FromParameter = None,
    until: ToParameter = None,
    month: MonthParameter = None,
    timezone: ZoneParameter = None,
    name: NamesParameter = [],  # noqa: B006
    kind: KindsParameter = [],  # noqa: B006
    tag: TagsParameter = [],  # noqa: B006
    by: _By = "job",
    sort: _Sort = "p95",
    limit: Limit = 50,
) -> SlowestModel:
    """List jobs, hosts or values of a tag by response time, with the change of its p95 to the period before."""
    period = read_period(services, window, since, until, month, parse_zone_parameter(timezone))
    selection = parse_job_filters(name, kind, tag, [], [])
    return await services.slowest.read(selection, period, by=by, sort=sort, limit=limit)


_JobOf = Annotated[str | None, Query(max_length=100, description="The job; without it, all jobs that match")]
_OtherJob = Annotated[str | None, Query(max_length=100, description="The job to compare with, in the same period")]
_OtherFrom = Annotated[
    str | None,
    Query(
        max_length=50,
        description="Beginning of the other period, which is as long: an instant, or 24h",
        examples=["14d"],
    ),
]
_Preset = Annotated[
    Literal["previous", "week", "weekday", "deployment", "trend"] | None,
    Query(
        description="Both periods: `previous` for the time before, `week` for this week and the last one, `weekday` "
        "for today and a week ago, `deployment` for up to a day after the last deployment of the jobs, and before it; "
        "`trend` for the time before, and in addition the same weekdays of the four weeks before"
    ),
]


@stats_router.read("/api/stats/comparison")
async def get_comparison(
    services: ServicesDep,
    job: _JobOf = None,
    other_job: _OtherJob = None,
    preset: _Preset = None,
    window: WindowParameter = None,
    since: FromParameter = None,
    until: ToParameter = None,
    month: MonthParameter = None,
    other_from: _OtherFrom = None,
    timezone: ZoneParameter = None,
    name: NamesParameter = [],  # noqa: B006
    kind: KindsParameter = [],  # noqa: B006
    tag: TagsParameter = [],  # noqa: B006
) -> ComparisonModel:
    """Compare two periods of a job or of all jobs that match, or two jobs, by default with the period before."""
    zone = parse_zone_parameter(timezone)
    period = read_period(services, window, since, until, month, zone)
    selection = parse_job_filters(name, kind, tag, [], [])
    request = ComparisonRequest(job, other_job, preset, period, other_from, zone)
    try:
        periods = await services.comparisons.choose(request, selection)
    except InvalidTimeRange as error:
        location = f"query.{error.end}"
        raise UnusableValue(InvalidInput(location=location, message=error.message, hint=error.hint)) from None
    return await services.comparisons.compare(periods, job, other_job, selection)


def read_period(
    services: Services, window: str | None, since: str | None, until: str | None, month: str | None, zone: tzinfo
) -> Period:
    """Parse the parameters of a period. Raises UnusableValue."""
    now = services.clock.now()
    within = answer_invalid(lambda: parse_range(since, until, month, zone, now))
    return answer_invalid(lambda: parse_period(window, within, now, services.stats.oldest))


exports_router = ApiRouter("stats", by_tag=True)

FormatParameter = Annotated[ExportFormat, Query(description="JSON lines or CSV")]
_RESPONSES = {
    200: {
        "description": "One line a row. The last line has the number of rows and whether the export is complete",
        "content": {"application/x-ndjson": {}, "text/csv": {}},
    }
}


@exports_router.read("/api/exports/runs", response_class=StreamingResponse, responses=_RESPONSES)
async def export_all_runs(
    services: ServicesDep,
    format: FormatParameter = ExportFormat.JSONL,
    job: JobParameter = None,
    name: NamesParameter = [],  # noqa: B006 - FastAPI copies it for each request
    tag: TagsParameter = [],  # noqa: B006
    outcome: OutcomeParameter = None,
    since: FromParameter = None,
    until: ToParameter = None,
    month: MonthParameter = None,
    timezone: ZoneParameter = None,
) -> StreamingResponse:
    """Export runs, newest first: of a range of due instants, or of a calendar month in a time zone."""
    zone, ended = parse_zone_parameter(timezone), parse_outcome(outcome)
    due = answer_invalid(lambda: parse_range(since, until, month, zone, services.clock.now()))
    if job is not None and not (await services.queries.list_runs(job=job, limit=1)).records:
        # A deleted job can still have runs. A name that never existed is a typing error.
        services.queries.require_job(job)
    matches_job = parse_run_filters(services.queries.current_jobs(), name, tag)
    rows = export_runs(services.queries, job=job, outcome=ended, due=due, matches_job=matches_job)
    return await _stream(services, "runs", RUN_FIELDS, rows, format)


@exports_router.read("/api/exports/stats", response_class=StreamingResponse, responses=_RESPONSES)
async def export_job_stats(
    services: ServicesDep,
    format: FormatParameter = ExportFormat.JSONL,
    window: WindowParameter = None,
    since: FromParameter = None,
    until: ToParameter = None,
    month: MonthParameter = None,
    timezone: ZoneParameter = None,
    name: NamesParameter = [],  # noqa: B006 - FastAPI copies it for each request
    kind: KindsParameter = [],  # noqa: B006
    tag: TagsParameter = [],  # noqa: B006
) -> StreamingResponse:
    """Export the statistics of each selected job, by name."""
    period = read_period(services, window, since, until, month, parse_zone_parameter(timezone))
    selection = parse_job_filters(name, kind, tag, [], [])
    return await _stream(services, "stats", STATS_FIELDS, export_stats(services.stats, selection, period), format)


@exports_router.read("/api/exports/changes", response_class=StreamingResponse, responses=_RESPONSES)
async def export_state_changes(
    services: ServicesDep,
    caller: CallerDep,
    format: FormatParameter = ExportFormat.JSONL,
    job: JobParameter = None,
    kind: KindsParameter = [],  # noqa: B006
    tag: TagsParameter = [],  # noqa: B006
    state: EnteredStates = [],  # noqa: B006
    since: AtOrAfter = None,
    until: AtOrBefore = None,
    month: MonthParameter = None,
    timezone: ZoneParameter = None,
) -> StreamingResponse:
    """Export the changes of the states of jobs, newest first: of a range, or of a calendar month in a time zone."""
    zone, selection = parse_zone_parameter(timezone), parse_job_filters([], kind, tag, [], [])
    at = answer_invalid(lambda: parse_range(since, until, month, zone, services.clock.now()))
    criteria = ChangeFilter(job, tuple(state), selection, at)
    rows = services.changes.export_changes(caller.principal, criteria)
    return await _stream(services, "changes", CHANGE_FIELDS, rows, format)


async def _stream(
    services: Services, name: str, fields: Sequence[str], rows: Rows, format: ExportFormat
) -> StreamingResponse:
    chunks = export_lines(fields, rows, format, services.turns)
    # The first chunk before the response starts: a store that is unavailable is answered with 503.
    first = await anext(chunks)

    async def body() -> AsyncIterator[str]:
        yield first
        async for chunk in chunks:
            yield chunk

    headers = {"Content-Disposition": f'attachment; filename="{name}.{format.value}"'}
    return StreamingResponse(body(), media_type=format.media_type, headers=headers)
