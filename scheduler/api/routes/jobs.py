"""The routes that list jobs and start a run."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import Query, Request, Response

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
from scheduler.api.problems import InvalidInput, UnusableValue
from scheduler.api.routes.filters import (
    KindsParameter,
    LatestOutcomesParameter,
    NamesParameter,
    StatesParameter,
    TagsParameter,
    parse_job_filters,
)
from scheduler.api.routing import ApiRouter
from scheduler.api.stored_jobs.models import DeclaredJobList, DeclaredJobModel
from scheduler.api.stored_jobs.preconditions import NOT_MODIFIED, IfNoneMatch, not_modified
from scheduler.catalog.catalog import UnknownJob
from scheduler.features.runs.models import RunModel, run_path
from scheduler.identity.caller import Caller
from scheduler.services import Services
from scheduler.stores.runs.repository import RunState

POLL_RETRY_AFTER = "1"
"""Seconds after which to poll a run that was started."""

MAX_UPCOMING = 10
"""Due instants in the details of a job."""

ViewParameter = Annotated[Literal["summary", "full"], Query(description="`full`: the declared definitions")]

router = ApiRouter("jobs", by_tag=True)


@router.read("/api/jobs", responses=NOT_MODIFIED)
async def list_jobs(
    services: ServicesDep,
    caller: CallerDep,
    name: NamesParameter = [],  # noqa: B006 - FastAPI copies it for each request
    kind: KindsParameter = [],  # noqa: B006
    tag: TagsParameter = [],  # noqa: B006
    state: StatesParameter = [],  # noqa: B006
    outcome: LatestOutcomesParameter = [],  # noqa: B006
    view: ViewParameter = "summary",
    limit: Limit = 100,
    continuation: Continuation = None,
    if_none_match: IfNoneMatch = None,
) -> JobList | DeclaredJobList:
    """List jobs by name, with their next due instant and latest run. Filters are combined with AND.

    With `outcome` a page can contain fewer jobs than `limit`, even none. Only the last page has no continuation.
    `view=full` lists all definitions as they were declared, also of jobs that are not in force. All its pages have one
    ETag, which changes with any definition; it cannot be combined with filters.
    """
    if view == "full":
        _refuse_filters(name=name, kind=kind, tag=tag, state=state, outcome=outcome)
        etag = services.stored_jobs.set_etag()
        if (unchanged := not_modified(etag, if_none_match)) is not None:
            return unchanged  # type: ignore[return-value]  # FastAPI passes a response on
        declared, rest = services.stored_jobs.list_declared(caller, limit=limit, after=continuation or "")
        return await create_list_response(  # type: ignore[return-value]  # FastAPI passes a response on
            "jobs", declared, DeclaredJobModel.from_declared, rest, {"ETag": etag}
        )
    selection = parse_job_filters(name, kind, tag, state, outcome)
    page = await services.queries.list_jobs(limit=limit, after=continuation or "", selection=selection)
    return await create_list_response(  # type: ignore[return-value]  # FastAPI passes a response on
        "jobs", page.jobs, JobSummary.from_view, page.continuation
    )


def _refuse_filters(**filters: list[str]) -> None:
    for name, values in filters.items():
        if values:
            message = "cannot be combined with view=full"
            raise UnusableValue(InvalidInput(location=f"query.{name}", message=message, hint="remove one of them"))


@router.read("/api/jobs/{name}", responses=NOT_MODIFIED)
async def get_job(
    services: ServicesDep, caller: CallerDep, name: JobName, response: Response, if_none_match: IfNoneMatch = None
) -> JobDetail | DeclaredJobModel:
    """Return a job: its definition, its next ten due instants and its latest run.

    The ETag is that of the declared definition: runs and pauses do not change it. A stored job that is not in force is
    returned with its problems and without its state.
    """
    declared = services.stored_jobs.find_declared(name, caller)
    if declared is not None:
        if (unchanged := not_modified(declared.etag, if_none_match)) is not None:
            return unchanged  # type: ignore[return-value]  # FastAPI passes a response on
        response.headers["ETag"] = declared.etag
        if not declared.is_in_force:
            return DeclaredJobModel.from_declared(declared)
    return await job_detail(services, caller, name)


async def job_detail(services: Services, caller: Caller, name: str, response: Response | None = None) -> JobDetail:
    """Return a job that is in force, and set the header ETag. Raises UnknownJob."""
    view = await services.queries.view_job(name)
    circuits = await services.circuits.circuits_of_jobs([name])
    declared = services.stored_jobs.find_declared(name, caller)
    if declared is None:
        raise UnknownJob(name)
    if response is not None:
        response.headers["ETag"] = declared.etag
    upcoming = services.queries.next_due(view, MAX_UPCOMING)
    return JobDetail.from_job_view(view, upcoming, circuits.get(name), declared, caller.principal)


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
