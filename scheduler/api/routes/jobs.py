"""The routes that list jobs and start a run."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request, Response

from jobs.formats.trace_ids import TRACE_HEADER as TRACE_PARENT
from scheduler.api.dependencies import (
    CallerDep,
    Continuation,
    JobName,
    Limit,
    ServicesDep,
    Wait,
    parse_wait,
)
from scheduler.api.description.headers import response_headers
from scheduler.api.list_response import create_list_response
from scheduler.api.models.jobs import JobDetail, JobList, JobSummary
from scheduler.api.models.runs import RunModel, run_path
from scheduler.api.routes.filters import (
    KindsParameter,
    LatestOutcomesParameter,
    NamesParameter,
    StatesParameter,
    TagsParameter,
    parse_job_filters,
)
from scheduler.api.routing import ApiRouter
from scheduler.stores.runs.repository import RunState

POLL_RETRY_AFTER = "1"
"""Seconds after which to poll a run that was started."""

MAX_UPCOMING = 10
"""Due instants in the details of a job."""

router = ApiRouter("jobs", by_tag=True)


@router.read("/api/jobs")
async def list_jobs(
    services: ServicesDep,
    name: NamesParameter = [],  # noqa: B006 - FastAPI copies it for each request
    kind: KindsParameter = [],  # noqa: B006
    tag: TagsParameter = [],  # noqa: B006
    state: StatesParameter = [],  # noqa: B006
    outcome: LatestOutcomesParameter = [],  # noqa: B006
    limit: Limit = 100,
    continuation: Continuation = None,
) -> JobList:
    """List jobs by name, with their next due instant and latest run. Filters are combined with AND.

    With `outcome` a page can contain fewer jobs than `limit`, even none. Only the last page has no continuation.
    """
    selection = parse_job_filters(name, kind, tag, state, outcome)
    page = await services.queries.list_jobs(limit=limit, after=continuation or "", selection=selection)
    return await create_list_response(  # type: ignore[return-value]  # FastAPI passes a response on
        "jobs", page.jobs, JobSummary.from_view, page.continuation
    )


@router.read("/api/jobs/{name}")
async def get_job(services: ServicesDep, name: JobName) -> JobDetail:
    """Return a job: its definition, its next ten due instants and its latest run."""
    view = await services.queries.view_job(name)
    circuits = await services.circuits.circuits_of_jobs([name])
    return JobDetail.from_job_view(view, services.queries.next_due(view, MAX_UPCOMING), circuits.get(name))


@router.operate(
    "/api/jobs/{name}/run",
    status_code=HTTPStatus.ACCEPTED,
    responses={
        200: {"model": RunModel, "description": "The finished run (with `wait`)"},
        202: {
            "description": "The run is queued or running",
            "headers": response_headers("Operation-Location", "Retry-After"),
        },
    },
)
async def run_job(
    services: ServicesDep, caller: CallerDep, request: Request, response: Response, name: JobName, wait: Wait = None
) -> RunModel:
    """Start a run of an enabled or disabled job. 202 with `Operation-Location`, or 200 if it finishes within `wait`."""
    seconds = parse_wait(wait)
    record = await services.operations.runs.run_now(
        name, caller=caller, trace_parent=request.headers.get(TRACE_PARENT, "")
    )
    if seconds > 0:
        record = await services.operations.runs.wait_until_finished(record.ticket.id, seconds) or record
    response.headers["Operation-Location"] = run_path(record.ticket.id)
    if record.state is RunState.FINISHED:
        response.status_code = HTTPStatus.OK
    else:
        response.headers["Retry-After"] = POLL_RETRY_AFTER
    return RunModel.from_record(record)
