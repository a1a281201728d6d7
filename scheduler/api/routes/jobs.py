"""The routes that list jobs and runs, and start a run."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends, Request, Response

from jobs.formats.trace_ids import TRACE_HEADER as TRACE_PARENT
from jobs.problems import make_printable
from scheduler.api.dependencies import (
    Continuation,
    JobName,
    JobParameter,
    Limit,
    OutcomeParameter,
    RunId,
    ServicesDep,
    Wait,
    parse_outcome,
    parse_wait,
    reject_unknown_query,
)
from scheduler.api.models.runs import JobDetail, JobList, JobSummary, RunList, RunModel, run_path
from scheduler.api.problems import PROBLEM_RESPONSES, ApiError, InvalidInput, InvalidRequest
from scheduler.api.routes.filters import (
    FromParameter,
    KindsParameter,
    LatestOutcomesParameter,
    NamesParameter,
    StatesParameter,
    TagsParameter,
    ToParameter,
    parse_due_range,
    parse_job_filters,
)
from scheduler.audit import ChangeSource
from scheduler.stores.runs.repository import RunState

POLL_RETRY_AFTER = "1"
"""Seconds after which to poll a run that was started."""

MAX_UPCOMING = 10
"""Due instants in the details of a job."""

router = APIRouter(prefix="/api", responses=PROBLEM_RESPONSES, dependencies=[Depends(reject_unknown_query)])


@router.get("/jobs", tags=["jobs"])
async def list_jobs(
    uses: ServicesDep,
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
    page = await uses.queries.list_jobs(limit=limit, after=continuation or "", selection=selection)
    return JobList(jobs=[JobSummary.from_view(view) for view in page.jobs], continuation=page.continuation)


@router.get("/jobs/{name}", tags=["jobs"])
async def get_job(uses: ServicesDep, name: JobName) -> JobDetail:
    """Return a job: its definition, its next ten due instants and its latest run."""
    view = await uses.queries.view_job(name)
    circuits = await uses.circuits.circuits_of_jobs([name])
    return JobDetail.from_job_view(view, uses.queries.next_due(view, MAX_UPCOMING), circuits.get(name))


@router.post(
    "/jobs/{name}/run",
    tags=["jobs"],
    status_code=HTTPStatus.ACCEPTED,
    responses={
        200: {"model": RunModel, "description": "The finished run (with `wait`)"},
        202: {
            "description": "The run is queued or running",
            "headers": {
                "Operation-Location": {"description": "URL of the run", "schema": {"type": "string"}},
                "Retry-After": {"description": "Seconds after which to poll", "schema": {"type": "string"}},
            },
        },
    },
)
async def run_job(
    uses: ServicesDep, request: Request, response: Response, name: JobName, wait: Wait = None
) -> RunModel:
    """Start a run of an enabled or disabled job. 202 with `Operation-Location`, or 200 if it finishes within `wait`."""
    seconds = parse_wait(wait)
    record = await uses.operations.runs.run_now(
        name, source=ChangeSource.API, trace_parent=request.headers.get(TRACE_PARENT, "")
    )
    if seconds > 0:
        record = await uses.operations.runs.wait_until_finished(record.ticket.id, seconds) or record
    response.headers["Operation-Location"] = run_path(record.ticket.id)
    if record.state is RunState.FINISHED:
        response.status_code = HTTPStatus.OK
    else:
        response.headers["Retry-After"] = POLL_RETRY_AFTER
    return RunModel.from_record(record)


@router.get("/runs", tags=["runs"])
async def list_runs(
    uses: ServicesDep,
    job: JobParameter = None,
    outcome: OutcomeParameter = None,
    since: FromParameter = None,
    until: ToParameter = None,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> RunList:
    """List runs, latest due instant first; queued and running ones precede all others.

    Filters are combined with AND. Request the next page with the same filters.
    """
    due = parse_due_range(since, until, uses.clock.now())
    ended = parse_outcome(outcome)
    try:
        page = await uses.queries.list_runs(job=job, outcome=ended, due=due, limit=limit, continuation=continuation)
    except ValueError as error:
        raise InvalidRequest(
            InvalidInput(where="query.continuation", message=make_printable(str(error), 200))
        ) from None
    if job is not None and not page.records:
        # A deleted job can still have runs. A name that never existed is a typing error.
        uses.queries.require_job(job)
    return RunList(runs=[RunModel.from_record(record) for record in page.records], continuation=page.continuation)


@router.get("/runs/{run_id}", tags=["runs"])
async def get_run(uses: ServicesDep, run_id: RunId) -> RunModel:
    """Return a run with all its attempts."""
    record = await uses.queries.find_run(run_id)
    if record is None:
        raise ApiError(
            HTTPStatus.NOT_FOUND,
            f"There is no run {run_id!r}; the retention may have removed it. GET /api/runs lists the runs.",
        )
    return RunModel.from_record(record)
