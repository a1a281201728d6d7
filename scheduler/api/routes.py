"""The routes for jobs and runs. Each one reads its input, asks operations or queries, and shapes the answer."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends, Request, Response

from jobs.problems import printable
from jobs.trace_ids import HEADER as TRACE_PARENT
from scheduler.api.filters import (
    OfKinds,
    OfLatestOutcomes,
    OfNames,
    OfStates,
    OfTags,
    Since,
    Until,
    chosen_interval,
    chosen_jobs,
)
from scheduler.api.models import JobDetail, JobList, JobSummary, RunList, RunModel, run_path
from scheduler.api.parameters import (
    Continuation,
    JobName,
    Limit,
    OfJob,
    OfOutcome,
    RunId,
    Uses,
    Wait,
    known_outcome,
    only_known_parameters,
    seconds_to_wait,
)
from scheduler.api.problems import PROBLEM_RESPONSES, ApiProblem, Invalid, InvalidRequest
from scheduler.operations.audit import Way
from scheduler.stores.runs import RunState

POLL_AFTER = "1"
"""Seconds after which a run that was started is worth asking for."""

UPCOMING = 10
"""Due instants of a job's detail."""

router = APIRouter(prefix="/api", responses=PROBLEM_RESPONSES, dependencies=[Depends(only_known_parameters)])


@router.get("/jobs", tags=["jobs"])
async def list_jobs(
    uses: Uses,
    name: OfNames = [],  # noqa: B006 - FastAPI copies it for each request
    kind: OfKinds = [],  # noqa: B006
    tag: OfTags = [],  # noqa: B006
    state: OfStates = [],  # noqa: B006
    outcome: OfLatestOutcomes = [],  # noqa: B006
    limit: Limit = 100,
    continuation: Continuation = None,
) -> JobList:
    """Jobs by name, with their next due instant and their latest run. Filters are combined by and.

    With `outcome` a page may hold fewer jobs than `limit`, even none; the last one has no continuation.
    """
    selection = chosen_jobs(name, kind, tag, state, outcome)
    page = await uses.queries.jobs(limit=limit, after=continuation or "", selection=selection)
    return JobList(jobs=[JobSummary.of(view) for view in page.jobs], continuation=page.continuation)


@router.get("/jobs/{name}", tags=["jobs"])
async def get_job(uses: Uses, name: JobName) -> JobDetail:
    """One job: its definition, its next ten due instants, its latest run."""
    view = await uses.queries.job(name)
    circuits = await uses.circuits.of_jobs([name])
    return JobDetail.of_job(view, uses.queries.next_runs(view, UPCOMING), circuits.get(name))


@router.post(
    "/jobs/{name}/run",
    tags=["jobs"],
    status_code=HTTPStatus.ACCEPTED,
    responses={
        200: {"model": RunModel, "description": "The finished run (with `wait`)"},
        202: {
            "description": "The run is queued or running",
            "headers": {
                "Operation-Location": {"description": "Where the run is found", "schema": {"type": "string"}},
                "Retry-After": {"description": "Seconds until it is worth asking", "schema": {"type": "string"}},
            },
        },
    },
)
async def run_job(uses: Uses, request: Request, response: Response, name: JobName, wait: Wait = None) -> RunModel:
    """Run a job now, also a disabled one. 202 with `Operation-Location`; with `wait` 200 and the finished run."""
    seconds = seconds_to_wait(wait)
    record = await uses.operations.running.run_now(
        name, way=Way.API, trace_parent=request.headers.get(TRACE_PARENT, "")
    )
    if seconds > 0:
        record = await uses.operations.running.wait_finished(record.ticket.id, seconds) or record
    response.headers["Operation-Location"] = run_path(record.ticket.id)
    if record.state is RunState.FINISHED:
        response.status_code = HTTPStatus.OK
    else:
        response.headers["Retry-After"] = POLL_AFTER
    return RunModel.of(record)


@router.get("/runs", tags=["runs"])
async def list_runs(
    uses: Uses,
    job: OfJob = None,
    outcome: OfOutcome = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> RunList:
    """Runs, newest due instant first; those that are queued or running come before all others.

    Filters are combined by and. Ask for the next page with the same ones.
    """
    due = chosen_interval(since, until, uses.clock.now())
    ended = known_outcome(outcome)
    try:
        page = await uses.queries.runs(job=job, outcome=ended, due=due, limit=limit, continuation=continuation)
    except ValueError as error:
        raise InvalidRequest(Invalid(where="query.continuation", message=printable(str(error), 200))) from None
    if job is not None and not page.records:
        # A job that is gone may still have runs; one that never was is a slip.
        uses.queries.known(job)
    return RunList(runs=[RunModel.of(record) for record in page.records], continuation=page.continuation)


@router.get("/runs/{run_id}", tags=["runs"])
async def get_run(uses: Uses, run_id: RunId) -> RunModel:
    """One run with all its attempts."""
    record = await uses.queries.run(run_id)
    if record is None:
        raise ApiProblem(
            HTTPStatus.NOT_FOUND,
            f"There is no run {run_id!r}; it may be older than what is kept. GET /api/runs lists them.",
        )
    return RunModel.of(record)
