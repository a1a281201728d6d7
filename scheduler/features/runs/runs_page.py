"""The page /api/dashboard/runs: the runs of all jobs, the newest first. Read-only."""

from __future__ import annotations

import re

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.rendering.filters import (
    PAGE_SIZE,
    FilterText,
    PeriodDep,
    PeriodFilter,
    find_job_error,
    is_job_name,
    keep_filters,
    offer_jobs,
)
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import RUNS_PATH
from scheduler.api.routing import ApiRouter, Continuation, ServicesDep, parse_choice
from scheduler.features.jobs.selection import NAME_FILTER, match_names
from scheduler.services import Services
from scheduler.stores.runs.pages import RunPage
from scheduler.stores.runs.repository import RUN_FILTERS

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(RUNS_PATH)
async def show_runs(
    request: Request,
    uses: ServicesDep,
    period: PeriodDep,
    job: FilterText = "",
    outcome: FilterText = "",
    continuation: Continuation = None,
) -> Response:
    """Show a page of runs. A filter that is invalid is named, and nothing is listed."""
    job, outcome = job.strip(), parse_choice("outcome", outcome, ("", *RUN_FILTERS))
    found, error = await _read_runs(uses, job, outcome, period, continuation or None)
    is_pattern = bool(job) and not is_job_name(job)
    query = keep_filters(job=job, outcome=outcome, since=period.since, until=period.until)
    return await respond(
        request,
        uses,
        "operations/runs.html",
        page="runs",
        path_of_page=RUNS_PATH,
        job=job,
        outcome_filter=outcome,
        outcomes=RUN_FILTERS,
        period=period,
        names=offer_jobs(uses.queries),
        runs=found,
        error=error,
        query=query,
        api_query=keep_filters(**{"name" if is_pattern else "job": job}, outcome=outcome) | period.api_query,
        is_first=not continuation,
    )


async def _read_runs(
    uses: Services, job: str, outcome: str, period: PeriodFilter, continuation: str | None
) -> tuple[RunPage, str]:
    """Return the runs, and what is wrong with a filter."""
    none = RunPage((), None)
    if period.error:
        return none, period.error
    is_name = is_job_name(job)
    if job and not is_name and re.fullmatch(NAME_FILTER, job, re.ASCII) is None:
        return none, find_job_error(uses.queries, job)
    found = await uses.queries.list_runs(
        job=job if is_name else None,
        matches_job=None if is_name or not job else match_names([job]),
        outcome=outcome or None,
        due=period.period,
        limit=PAGE_SIZE,
        continuation=continuation,
    )
    # A deleted job can still have runs.
    return found, find_job_error(uses.queries, job) if is_name and not found.records else ""
