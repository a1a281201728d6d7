"""Jobs as the API and the commands show them, and what a backfill has queued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobs.targets import describe_target
from scheduler.catalog.catalog import UnknownJob
from scheduler.features.circuits.queries import show_circuit
from scheduler.features.jobs.models import (
    BackfillModel,
    BackfillRun,
    DependencyModel,
    JobDetail,
    JobSummary,
    PauseModel,
)
from scheduler.features.jobs.queries import JobView
from scheduler.features.runs.models import run_path, view_run
from scheduler.features.stored_jobs.queries import view_problem
from scheduler.identity.literals import show_definition
from scheduler.identity.principal import Caller, Principal

if TYPE_CHECKING:
    from scheduler.features.jobs.service import BackfillResult
    from scheduler.services import Services

MAX_UPCOMING = 10
"""Due instants in the details of a job."""


def summarize_job(view: JobView) -> JobSummary:
    """Return a job as lists show it."""
    job = view.entry.job
    return JobSummary(
        name=job.name,
        description=job.description,
        enabled=job.enabled,
        kind=job.check.kind,
        endpoint=job.check.endpoint,
        target=describe_target(job.check),
        schedule=job.schedule.spec if job.schedule is not None else None,
        has_default_schedule=job.has_default_schedule,
        depends_on=[DependencyModel(**dependency.model_dump(mode="json")) for dependency in job.depends_on],
        dependents=list(view.dependents),
        next_at=view.next_at,
        pause=None if view.pause is None else PauseModel.from_object(view.pause, summary=str(view.pause)),
        latest=None if view.latest is None else view_run(view.latest),
        status=view.status,
        wait=view.wait,
        reason=view.reason,
        last_known=view.last_known,
        state_since=None if view.state is None else view.state.at,
        source=view.entry.origin,
        tags=job.tags,
        url=f"/api/jobs/{job.name}",
    )


async def read_job(services: Services, caller: Caller, name: str) -> tuple[JobDetail, str]:
    """Return a job that is in force, and its ETag. Raises UnknownJob."""
    view = await services.queries.view_job(name)
    circuit = (await services.circuits.circuits_of_jobs([name])).get(name)
    declared = services.stored_jobs.find_declared(name, caller)
    if declared is None:
        raise UnknownJob(name)
    detail = JobDetail.from_object(
        summarize_job(view),
        generation=view.entry.generation,
        definition=describe_definition(view, caller.principal),
        declared=dict(declared.definition),
        version=declared.version,
        owner=declared.owner if declared.version is not None else None,
        problems=list(map(view_problem, declared.problems)),
        upcoming=services.queries.next_due(view, MAX_UPCOMING),
        circuit=None if circuit is None else show_circuit(circuit),
    )
    return detail, declared.etag


def describe_definition(view: JobView, principal: Principal) -> dict[str, Any]:
    """Return the definition with all defaults. It contains names of secrets, never their values."""
    return dict(show_definition(view.entry.job.to_json(), principal))


def view_backfill(job: str, done: BackfillResult, *, dry_run: bool) -> BackfillModel:
    """Return the runs that a backfill of a job has queued, or would queue."""
    runs = [BackfillRun(id=ticket.id, due_at=ticket.due_at, url=run_path(ticket.id)) for ticket in done.tickets]
    return BackfillModel.from_object(done, job=job, dry_run=dry_run, runs=runs)
