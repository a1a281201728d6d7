"""Response models of jobs, their pauses and backfills, and of actions on all jobs of a selection."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobs.definition.dependencies import Dependency
from jobs.runs import Ticket
from jobs.runs.states import JobStatus
from jobs.targets import describe_target
from scheduler.catalog.catalog import UnknownJob
from scheduler.features.circuits.models import CircuitModel
from scheduler.features.circuits.queries import CircuitView, show_circuit
from scheduler.features.jobs.selection import ActionReport, ActionResult, JobResult
from scheduler.features.overview.job_view import JobView
from scheduler.features.runs.models import RunModel, run_path
from scheduler.features.stored_jobs.models import DefinitionProblem
from scheduler.features.stored_jobs.queries import DeclaredJob
from scheduler.identity.literals import show_definition
from scheduler.identity.principal import Principal
from scheduler.model_base import ResponseModel, example_values
from scheduler.stores.gates import Pause

if TYPE_CHECKING:
    from fastapi import Response

    from scheduler.features.jobs.service import BackfillResult
    from scheduler.identity.principal import Caller
    from scheduler.services import Services

MAX_UPCOMING = 10
"""Due instants in the details of a job."""


class PauseModel(ResponseModel):
    """A current pause. `until` null: until the job is resumed. `summary`: the pause as a sentence."""

    model_config = example_values(summary="paused: deployment of checkout")

    since: datetime
    until: datetime | None
    reason: str
    summary: str

    @classmethod
    def from_pause(cls, pause: Pause) -> PauseModel:
        return cls(since=pause.since, until=pause.until, reason=pause.reason, summary=str(pause))


class DependencyModel(ResponseModel):
    """A job that this one depends on.

    `condition`: succeeded, failed or finished. `within`, `wait`: durations such as 5m.
    """

    model_config = example_values(condition="succeeded", wait="10m")

    job: str
    condition: str
    within: str | None
    wait: str

    @classmethod
    def from_dependency(cls, dependency: Dependency) -> DependencyModel:
        return cls(**dependency.model_dump(mode="json"))


class JobSummary(ResponseModel):
    """A job in a list. `schedule` and `pause` are null without one.

    A job without a schedule runs after the jobs in `depends_on`, or only on demand. `dependents`: jobs that depend on
    it. `has_default_schedule`: the schedule comes from the setting `default_schedule`, because the flat job defines
    none. `next_at` of a paused job is after the end of its pause. `source`: the file that defines it. `status`: as in
    GET /api/changes; `state_since` null: no change is recorded. `target`: what the check contacts, for people, without
    secrets. `wait`: for which job it waits, such as `waiting for database`. `reason`: why it is down, silent, degraded
    or waiting. Both are empty otherwise.
    """

    model_config = example_values(
        description="Health of the checkout API",
        enabled=True,
        kind="http",
        depends_on=[],
        pause=None,
        wait="",
        reason="",
    )

    name: str
    description: str
    enabled: bool
    kind: str
    endpoint: str
    target: str
    schedule: str | dict[str, Any] | list[str | dict[str, Any]] | None
    has_default_schedule: bool
    depends_on: list[DependencyModel]
    dependents: list[str]
    next_at: datetime | None
    pause: PauseModel | None
    latest: RunModel | None
    status: JobStatus
    wait: str
    reason: str
    state_since: datetime | None
    source: str
    tags: dict[str, str]
    url: str

    @classmethod
    def from_view(cls, view: JobView) -> JobSummary:
        return cls(**_job_fields(view))


class JobDetail(JobSummary):
    """A job with its full definition, its next due instants and its circuit (null without one).

    `declared`: the definition as it was written. `version` and `owner`: of a stored job; null for one of a job file.
    `problems`: channels, severities and parents of its alerts that do not exist.
    """

    generation: str
    definition: dict[str, Any]
    declared: dict[str, Any]
    version: int | None
    owner: str | None
    problems: list[DefinitionProblem]
    upcoming: list[datetime]
    circuit: CircuitModel | None

    @classmethod
    def from_job_view(
        cls,
        view: JobView,
        upcoming: list[datetime],
        circuit: CircuitView | None,
        declared: DeclaredJob,
        principal: Principal,
    ) -> JobDetail:
        return cls(
            **_job_fields(view),
            declared=dict(declared.definition),
            version=declared.version,
            owner=declared.owner if declared.version is not None else None,
            problems=[DefinitionProblem.from_problem(problem) for problem in declared.problems],
            generation=view.entry.generation,
            definition=cls.definition_json(view, principal),
            upcoming=upcoming,
            circuit=None if circuit is None else show_circuit(circuit),
        )

    @staticmethod
    def definition_json(view: JobView, principal: Principal) -> dict[str, Any]:
        """Return the definition with all defaults. It contains names of secrets, never their values."""
        return dict(show_definition(view.entry.job.to_json(), principal))


def _job_fields(view: JobView) -> dict[str, Any]:
    job = view.entry.job
    return {
        "name": job.name,
        "description": job.description,
        "enabled": job.enabled,
        "kind": job.check.kind,
        "endpoint": job.check.endpoint,
        "target": describe_target(job.check),
        "schedule": job.schedule.spec if job.schedule is not None else None,
        "has_default_schedule": job.has_default_schedule,
        "depends_on": [DependencyModel.from_dependency(dependency) for dependency in job.depends_on],
        "dependents": list(view.dependents),
        "next_at": view.next_at,
        "pause": PauseModel.from_pause(view.pause) if view.pause is not None else None,
        "latest": RunModel.from_record(view.latest) if view.latest is not None else None,
        "status": view.status,
        "wait": view.wait,
        "reason": view.reason,
        "state_since": None if view.state is None else view.state.at,
        "source": view.entry.origin,
        "tags": job.tags,
        "url": f"/api/jobs/{job.name}",
    }


class JobList(ResponseModel):
    """By name. `continuation` fetches the next page, null on the last. A page can contain fewer than `limit`."""

    jobs: list[JobSummary]
    continuation: str | None


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


class BackfillRun(ResponseModel):
    model_config = example_values(url="/api/runs/checkout-api@20261128T090000.000Z")

    id: str
    due_at: datetime
    url: str

    @classmethod
    def from_ticket(cls, ticket: Ticket) -> BackfillRun:
        return cls(id=ticket.id, due_at=ticket.due_at, url=run_path(ticket.id))


class BackfillModel(ResponseModel):
    """`runs`: the runs that are queued (with `dry_run`: would be), oldest first.

    `already_run`: number of instants with a run that finished or is running. `skipped`: number of instants whose run
    was skipped; `runs` includes them unless `leave_skipped` was set.
    """

    model_config = example_values(already_run=10, skipped=0)

    job: str
    dry_run: bool
    runs: list[BackfillRun]
    already_run: int
    skipped: int

    @classmethod
    def from_result(cls, job: str, done: BackfillResult, *, dry_run: bool) -> BackfillModel:
        runs = [BackfillRun.from_ticket(ticket) for ticket in done.tickets]
        return cls(job=job, dry_run=dry_run, runs=runs, already_run=done.already_run, skipped=done.skipped)


class JobResultModel(ResponseModel):
    """What was done to a job, or why not.

    `result`: done, unchanged, refused, failed; selected in a dry run. `code` and `message` are null without a reason.
    `run_id`: of the run that was started.
    """

    model_config = example_values(result="done", code=None, message=None)

    job: str
    result: ActionResult
    code: str | None
    message: str | None
    run_id: str | None

    @classmethod
    def from_result(cls, result: JobResult) -> JobResultModel:
        return cls(
            job=result.job,
            result=result.result,
            code=result.code or None,
            message=result.message or None,
            run_id=result.run_id,
        )


class ActionReportModel(ResponseModel):
    """The jobs by name. `continuation`: send it with the same selection for the next jobs; null if no job is left.

    A response can contain fewer than `limit` jobs. If the store fails in the middle, the last job has `failed`, and
    the continuation repeats it.
    """

    model_config = example_values(continuation=None)

    dry_run: bool
    jobs: list[JobResultModel]
    continuation: str | None

    @classmethod
    def from_report(cls, report: ActionReport, *, dry_run: bool) -> ActionReportModel:
        jobs = [JobResultModel.from_result(result) for result in report.results]
        return cls(dry_run=dry_run, jobs=jobs, continuation=report.continuation)
