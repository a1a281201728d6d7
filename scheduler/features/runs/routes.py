"""The routes that list and cancel runs."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Response

from scheduler.api.description.headers import response_headers
from scheduler.api.parameters import (
    FromParameter,
    NamesParameter,
    TagsParameter,
    ToParameter,
    parse_due_range,
    parse_run_filters,
)
from scheduler.api.problems import ApiError
from scheduler.api.routing import (
    POLL_RETRY_AFTER,
    ApiRouter,
    CallerDep,
    Continuation,
    JobParameter,
    Limit,
    OutcomeParameter,
    RunId,
    ServicesDep,
    Wait,
    create_list_response,
    parse_outcome,
    parse_wait,
)
from scheduler.features.runs.models import RunList, RunModel, run_path, view_run
from scheduler.stores.runs.repository import RunState

DEFAULT_CANCEL_WAIT = 1.0
"""Seconds within which a run of this process is usually recorded as cancelled."""

router = ApiRouter("runs", by_tag=True)


@router.read("/api/runs")
async def list_runs(
    services: ServicesDep,
    job: JobParameter = None,
    name: NamesParameter = [],  # noqa: B006 - FastAPI copies it for each request
    tag: TagsParameter = [],  # noqa: B006
    outcome: OutcomeParameter = None,
    since: FromParameter = None,
    until: ToParameter = None,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> RunList:
    """List runs, latest due instant first; queued and running ones precede all others.

    Filters are combined with AND. Request the next page with the same filters. With filters a page can contain fewer
    runs than `limit`, even none.
    """
    due = parse_due_range(since, until, services.clock.now())
    ended = parse_outcome(outcome)
    matches_job = parse_run_filters(services.queries.current_jobs(), name, tag)
    page = await services.queries.list_runs(
        job=job, outcome=ended, due=due, limit=limit, continuation=continuation, matches_job=matches_job
    )
    if job is not None and not page.records:
        # A deleted job can still have runs. A name that never existed is a typing error.
        services.queries.require_job(job)
    return await create_list_response(  # type: ignore[return-value]  # FastAPI passes a response on
        "runs", page.records, view_run, page.continuation
    )


@router.read("/api/runs/{run_id}")
async def get_run(services: ServicesDep, run_id: RunId) -> RunModel:
    """Return a run with all its attempts."""
    record = await services.queries.find_run(run_id)
    if record is None:
        raise ApiError(
            HTTPStatus.NOT_FOUND,
            f"There is no run {run_id!r}; the retention may have removed it. GET /api/runs lists the runs.",
        )
    return view_run(record)


@router.operate(
    "/api/runs/{run_id}/cancel",
    problems=(HTTPStatus.CONFLICT,),
    responses={
        200: {"description": "The cancelled run"},
        202: {
            "model": RunModel,
            "description": "The run is still running and ends within seconds",
            "headers": response_headers("Operation-Location", "Retry-After"),
        },
    },
)
async def cancel_run(
    services: ServicesDep, caller: CallerDep, response: Response, run_id: RunId, wait: Wait = None
) -> RunModel:
    """Cancel a queued or running run. 409 if it is finished.

    Its attempts are stored, and its outcome is `cancelled`. Another process cancels its run within a few seconds.
    """
    seconds = DEFAULT_CANCEL_WAIT if wait is None else parse_wait(wait)
    record = await services.operations.cancellations.cancel(run_id, caller=caller, wait=seconds)
    if record.state is not RunState.FINISHED:
        response.status_code = HTTPStatus.ACCEPTED
        response.headers["Operation-Location"] = run_path(run_id)
        response.headers["Retry-After"] = POLL_RETRY_AFTER
    return view_run(record)
