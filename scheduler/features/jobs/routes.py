"""The routes that list jobs, start a run, pause, resume and backfill a job, and do so with all jobs of a selection.

The name of an action on a selection stands where GET has the name of a job: no other POST has a path of this form, so a
job can be named like an action.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import Depends, Query, Request, Response
from pydantic import Field

from jobs.trace_ids import TRACE_HEADER as TRACE_PARENT
from scheduler.api.definition_requests import NOT_MODIFIED, IfNoneMatch, not_modified
from scheduler.api.description.headers import response_headers
from scheduler.api.parameters import (
    KindsParameter,
    LatestOutcomesParameter,
    NamesParameter,
    StatesParameter,
    TagsParameter,
    parse_job_filters,
)
from scheduler.api.problems import InvalidInput, InvalidRequest, UnusableValue
from scheduler.api.routing import (
    POLL_RETRY_AFTER,
    ApiRouter,
    CallerDep,
    Continuation,
    JobName,
    Limit,
    ServicesDep,
    Wait,
    create_list_response,
    parse_wait,
)
from scheduler.features.jobs.models import ActionReportModel, BackfillModel, JobDetail, JobList
from scheduler.features.jobs.selected_jobs import MAX_SELECTED_JOBS, SelectedJobActions, SelectedJobs
from scheduler.features.jobs.selection import (
    JOB_STATES,
    LATEST_OUTCOMES,
    NAME_FILTER,
    TAG_FILTER,
    InvalidFilter,
    check_kinds,
    parse_selection,
)
from scheduler.features.jobs.views import read_job, summarize_job, view_backfill
from scheduler.features.runs.models import RunModel, run_path, view_run
from scheduler.features.stored_jobs.models import DeclaredJobList, DeclaredJobModel
from scheduler.features.stored_jobs.queries import view_declared
from scheduler.model_base import Instant, Reason, RequestModel, example
from scheduler.stores.runs.repository import RunState

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
            "jobs", declared, view_declared, rest, {"ETag": etag}
        )
    selection = parse_job_filters(name, kind, tag, state, outcome)
    page = await services.queries.list_jobs(limit=limit, after=continuation or "", selection=selection)
    return await create_list_response(  # type: ignore[return-value]  # FastAPI passes a response on
        "jobs", page.jobs, summarize_job, page.continuation
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
            return view_declared(declared)
    return (await read_job(services, caller, name))[0]


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
    return view_run(record)


pauses_router = ApiRouter("jobs", by_tag=True)


class PauseRequest(RequestModel):
    """`until` null: until the job is resumed. An instant without an offset is UTC."""

    model_config = example({"until": "2030-01-01T06:00:00Z", "reason": "deployment of checkout"})

    until: Instant | None = None
    reason: Reason = ""


@pauses_router.operate("/api/jobs/{name}/pause")
async def pause_job(
    services: ServicesDep, caller: CallerDep, name: JobName, body: PauseRequest | None = None
) -> JobDetail:
    """Skip a job's scheduled runs until an instant or a resume. An existing pause is replaced.

    The first skipped run is recorded with the reason and stands for the following ones. Every process applies the pause
    within 6 s. A user can still start a run.
    """
    change = body or PauseRequest()
    await services.operations.pauses.pause(name, until=change.until, reason=change.reason, caller=caller)
    return (await read_job(services, caller, name))[0]


@pauses_router.operate("/api/jobs/{name}/resume")
async def resume_job(services: ServicesDep, caller: CallerDep, name: JobName) -> JobDetail:
    """End a job's pause. Instants that were due meanwhile do not run. A job that is not paused is unchanged."""
    await services.operations.pauses.resume(name, caller=caller)
    return (await read_job(services, caller, name))[0]


backfills_router = ApiRouter("jobs", by_tag=True)


class BackfillRequest(RequestModel):
    """The range with both ends inclusive; `to` defaults to now. An instant without an offset is UTC.

    `leave_skipped`: do not run instants whose run was skipped. `before_first_version`: also run instants before the job
    existed; without it, a range with such instants is rejected.
    """

    model_config = example(
        {"from": "2026-11-27T00:00:00Z", "to": "2026-11-27T00:10:00Z", "before_first_version": True, "dry_run": True}
    )

    since: Instant = Field(alias="from")
    until: Instant | None = Field(default=None, alias="to")
    limit: int = Field(default=100, ge=1, le=1000)
    leave_skipped: bool = False
    before_first_version: bool = False
    dry_run: bool = False


@backfills_router.operate("/api/jobs/{name}/backfill", status_code=HTTPStatus.ACCEPTED, problems=(HTTPStatus.CONFLICT,))
async def backfill_job(services: ServicesDep, caller: CallerDep, name: JobName, body: BackfillRequest) -> BackfillModel:
    """Queue a run for each due instant of a past range that has not run or was skipped. They execute one by one.

    The runs check the target now. They have the trigger `backfill` and count neither in uptime nor as the job's latest
    run. A repeated request creates no second run. 400 if more than `limit` runs are needed.
    """
    done = await services.operations.backfills.backfill(
        name,
        body.since,
        body.until,
        limit=body.limit,
        leave_skipped=body.leave_skipped,
        before_first_version=body.before_first_version,
        dry_run=body.dry_run,
        caller=caller,
    )
    return view_backfill(name, done, dry_run=body.dry_run)


selections_router = ApiRouter("jobs", by_tag=True)


_MAX_VALUES = 500
"""Values of one filter."""

_Texts = Annotated[list[str], Field(max_length=_MAX_VALUES)]


def _choices(*values: str) -> dict[str, object]:
    return {"items": {"type": "string", "enum": list(values)}}


class SelectionRequest(RequestModel):
    """Selects jobs as the filters of GET /api/jobs do. Filters are combined with AND.

    `names` can contain * (any text) and ? (one character). `tags`: `key` or `key=value`; a job must have all of them.
    `all` confirms a request without filters. `dry_run` lists the jobs and changes nothing. `continuation`: of the
    previous response, for a selection with more than `limit` jobs.
    """

    model_config = example({"tags": ["team=payments"], "dry_run": True})

    names: Annotated[_Texts, Field(json_schema_extra={"items": {"type": "string", "pattern": NAME_FILTER}})] = []
    kinds: Annotated[_Texts, Field(json_schema_extra=_choices(*check_kinds()))] = []
    tags: Annotated[_Texts, Field(json_schema_extra={"items": {"type": "string", "pattern": TAG_FILTER}})] = []
    states: Annotated[_Texts, Field(json_schema_extra=_choices(*JOB_STATES))] = []
    outcomes: Annotated[_Texts, Field(json_schema_extra=_choices(*LATEST_OUTCOMES))] = []
    all: bool = False
    dry_run: bool = False
    limit: Annotated[int, Field(ge=1, le=MAX_SELECTED_JOBS)] = 100
    continuation: Annotated[str | None, Field(max_length=500)] = None

    def parse(self) -> SelectedJobs:
        """Return the selection. Raises InvalidRequest: a filter is invalid."""
        try:
            selection = parse_selection(
                names=self.names, kinds=self.kinds, tags=self.tags, states=self.states, outcomes=self.outcomes
            )
        except InvalidFilter as error:
            raise InvalidRequest(
                InvalidInput(location=f"body.{error.filter}s", message=error.message, hint=error.hint)
            ) from None
        return SelectedJobs(selection, self.all, self.dry_run, self.limit, self.continuation or "")


class PauseSelectionRequest(SelectionRequest):
    """As SelectionRequest. `until` null: until the jobs are resumed. An instant without an offset is UTC."""

    model_config = example({"tags": ["team=payments"], "until": "2030-01-01T06:00:00Z", "reason": "deployment"})

    until: Instant | None = None
    reason: Reason = ""


class ResetSelectionRequest(SelectionRequest):
    """As SelectionRequest. `reason`: for the audit log."""

    model_config = example({"names": ["checkout-*"], "reason": "the payment provider is back"})

    reason: Reason = ""


async def get_actions(services: ServicesDep) -> SelectedJobActions:
    return SelectedJobActions(services.queries, services.circuits, services.operations)


ActionsDep = Annotated[SelectedJobActions, Depends(get_actions)]


@selections_router.operate("/api/jobs/pause")
async def pause_jobs(actions: ActionsDep, caller: CallerDep, body: PauseSelectionRequest) -> ActionReportModel:
    """Pause all jobs of a selection. A job that is paused gets the new end and reason."""
    return await actions.pause(body.parse(), until=body.until, reason=body.reason, caller=caller)


@selections_router.operate("/api/jobs/resume")
async def resume_jobs(actions: ActionsDep, caller: CallerDep, body: SelectionRequest) -> ActionReportModel:
    """End the pauses of all jobs of a selection."""
    return await actions.resume(body.parse(), caller=caller)


@selections_router.operate("/api/jobs/run", status_code=HTTPStatus.ACCEPTED)
async def run_jobs(actions: ActionsDep, caller: CallerDep, body: SelectionRequest) -> ActionReportModel:
    """Start a run of each job of a selection, also of disabled and paused jobs."""
    return await actions.run(body.parse(), caller=caller)


@selections_router.manage("/api/jobs/delete", method="POST")
async def delete_jobs(actions: ActionsDep, caller: CallerDep, body: SelectionRequest) -> ActionReportModel:
    """Delete all stored jobs of a selection, dependents first. A job of a file is `refused`, with its file and line."""
    return await actions.delete(body.parse(), caller=caller)


@selections_router.operate("/api/jobs/reset-circuit")
async def reset_circuits(actions: ActionsDep, caller: CallerDep, body: ResetSelectionRequest) -> ActionReportModel:
    """Reset the circuits of all jobs of a selection. A circuit that several jobs share is reset once."""
    return await actions.reset_circuits(body.parse(), reason=body.reason, caller=caller)
