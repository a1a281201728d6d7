"""The routes for jobs and runs. Each one reads its input, asks operations or queries, and shapes the answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from jobs.durations import format_duration, parse_duration
from scheduler.api.models import JobDetail, JobList, JobSummary, RunDetail, RunList, RunSummary, run_path
from scheduler.api.problems import PROBLEM_RESPONSES, ApiProblem
from scheduler.api.services import Services
from scheduler.stores.runs import RUN_FILTERS, RunState

LONGEST_WAIT = 200.0
"""Seconds. The Functions front end cuts an answer off at 230."""

router = APIRouter(prefix="/api", responses=PROBLEM_RESPONSES)


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Uses = Annotated[Services, Depends(services)]
Limit = Annotated[int, Query(ge=1, le=500, description="How many at most")]
Continuation = Annotated[str | None, Query(max_length=500, description="From the page before")]
JobName = Annotated[str, Path(description="The job's name")]


@router.get("/jobs", tags=["jobs"])
async def list_jobs(uses: Uses, limit: Limit = 100, continuation: Continuation = None) -> JobList:
    """Jobs by name, with their next due instant and their latest run."""
    page = await uses.queries.jobs(limit=limit, after=continuation or "")
    return JobList(jobs=[JobSummary.of(view) for view in page.jobs], continuation=page.continuation)


@router.get("/jobs/{name}", tags=["jobs"])
async def get_job(uses: Uses, name: JobName) -> JobDetail:
    """One job: its definition, its next ten due instants, its latest run."""
    view = await uses.queries.job(name)
    return JobDetail.of_job(view, uses.queries.next_runs(name, 10))


@router.post(
    "/jobs/{name}/run",
    tags=["jobs"],
    status_code=HTTPStatus.ACCEPTED,
    responses={200: {"model": RunDetail, "description": "The finished run (with `wait`)"}},
)
async def run_job(
    uses: Uses,
    response: Response,
    name: JobName,
    wait: Annotated[str | None, Query(description="Answer with the finished run, if it ends within this time: 10s")] = None,
) -> RunDetail:
    """Run a job now. 202 with `Operation-Location`; with `wait` 200 and the finished run."""
    seconds = _read_wait(wait)
    record = await uses.operations.run_now(name)
    if seconds > 0:
        record = await uses.operations.wait_finished(record.ticket.id, seconds) or record
    response.headers["Operation-Location"] = run_path(record.ticket.id)
    if record.state is RunState.FINISHED:
        response.status_code = HTTPStatus.OK
    return RunDetail.of(record)


def _read_wait(wait: str | None) -> float:
    if wait is None:
        return 0.0
    try:
        seconds = parse_duration(wait)
    except ValueError as error:
        raise ApiProblem(HTTPStatus.BAD_REQUEST, f"query.wait: {error}") from None
    if seconds > LONGEST_WAIT:
        raise ApiProblem(
            HTTPStatus.BAD_REQUEST, f"query.wait: {wait} is longer than {format_duration(LONGEST_WAIT)}; poll the run"
        )
    return seconds


@router.get("/runs", tags=["runs"])
async def list_runs(
    uses: Uses,
    job: Annotated[str | None, Query(description="Only this job's runs")] = None,
    outcome: Annotated[str | None, Query(description=f"Only these: {', '.join(RUN_FILTERS)}")] = None,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> RunList:
    """Runs, newest first."""
    if outcome is not None and outcome not in RUN_FILTERS:
        raise ApiProblem(
            HTTPStatus.BAD_REQUEST, f"query.outcome: {outcome!r} is none of {', '.join(RUN_FILTERS)}"
        )
    if job is not None:
        await uses.queries.job(job)
    try:
        page = await uses.queries.runs(job=job, outcome=outcome, limit=limit, continuation=continuation)
    except ValueError as error:
        raise ApiProblem(HTTPStatus.BAD_REQUEST, f"query.continuation: {error}") from None
    return RunList(runs=[RunSummary.of(record) for record in page.records], continuation=page.continuation)


@router.get("/runs/{run_id}", tags=["runs"])
async def get_run(uses: Uses, run_id: Annotated[str, Path(max_length=200)]) -> RunDetail:
    """One run with all its attempts."""
    record = await uses.queries.run(run_id)
    if record is None:
        raise ApiProblem(
            HTTPStatus.NOT_FOUND, f"There is no run {run_id!r}; it may be older than what is kept. GET /api/runs lists them."
        )
    return RunDetail.of(record)
