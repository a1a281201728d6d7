"""The routes that export runs and statistics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import Query
from starlette.responses import StreamingResponse

from scheduler.api.dependencies import CallerDep, JobParameter, OutcomeParameter, ServicesDep, parse_outcome
from scheduler.api.list_filters import (
    FromParameter,
    KindsParameter,
    NamesParameter,
    TagsParameter,
    ToParameter,
    parse_job_filters,
    parse_name_filter,
)
from scheduler.api.routes.states.changes import AtOrAfter, AtOrBefore, EnteredStates
from scheduler.api.routes.statistics.periods import (
    MonthParameter,
    WindowParameter,
    ZoneParameter,
    answer_invalid,
    parse_zone_parameter,
)
from scheduler.api.routes.statistics.stats import read_period
from scheduler.api.routing import ApiRouter, CallerDep, JobParameter, OutcomeParameter, ServicesDep, parse_outcome
from scheduler.queries.changes import CHANGE_FIELDS, ChangeFilter
from scheduler.queries.exports import (
    RUN_FIELDS,
    STATS_FIELDS,
    ExportFormat,
    Rows,
    export_lines,
    export_runs,
    export_stats,
)
from scheduler.queries.periods import parse_range
from scheduler.services import Services

router = ApiRouter("stats", by_tag=True)

FormatParameter = Annotated[ExportFormat, Query(description="JSON lines or CSV")]
_RESPONSES = {
    200: {
        "description": "One line a row. The last line has the number of rows and whether the export is complete",
        "content": {"application/x-ndjson": {}, "text/csv": {}},
    }
}


@router.read("/api/exports/runs", response_class=StreamingResponse, responses=_RESPONSES)
async def export_all_runs(
    services: ServicesDep,
    format: FormatParameter = ExportFormat.JSONL,
    job: JobParameter = None,
    name: NamesParameter = [],  # noqa: B006 - FastAPI copies it for each request
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
    matches_job = parse_name_filter(name)
    rows = export_runs(services.queries, job=job, outcome=ended, due=due, matches_job=matches_job)
    return await _stream(services, "runs", RUN_FIELDS, rows, format)


@router.read("/api/exports/stats", response_class=StreamingResponse, responses=_RESPONSES)
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


@router.read("/api/exports/changes", response_class=StreamingResponse, responses=_RESPONSES)
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
