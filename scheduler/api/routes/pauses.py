"""The routes that pause and resume a job."""

from __future__ import annotations

from scheduler.api.model_base import Instant, Reason, RequestModel, example
from scheduler.api.models.jobs import JobDetail
from scheduler.api.routes.jobs import job_detail
from scheduler.api.routing import ApiRouter, CallerDep, JobName, ServicesDep

router = ApiRouter("jobs", by_tag=True)


class PauseRequest(RequestModel):
    """`until` null: until the job is resumed. An instant without an offset is UTC."""

    model_config = example({"until": "2030-01-01T06:00:00Z", "reason": "deployment of checkout"})

    until: Instant | None = None
    reason: Reason = ""


@router.operate("/api/jobs/{name}/pause")
async def pause_job(
    services: ServicesDep, caller: CallerDep, name: JobName, body: PauseRequest | None = None
) -> JobDetail:
    """Skip a job's scheduled runs until an instant or a resume. An existing pause is replaced.

    The first skipped run is recorded with the reason and stands for the following ones. Every process applies the pause
    within 6 s. A user can still start a run.
    """
    change = body or PauseRequest()
    await services.operations.pauses.pause(name, until=change.until, reason=change.reason, caller=caller)
    return await job_detail(services, caller, name)


@router.operate("/api/jobs/{name}/resume")
async def resume_job(services: ServicesDep, caller: CallerDep, name: JobName) -> JobDetail:
    """End a job's pause. Instants that were due meanwhile do not run. A job that is not paused is unchanged."""
    await services.operations.pauses.resume(name, caller=caller)
    return await job_detail(services, caller, name)
