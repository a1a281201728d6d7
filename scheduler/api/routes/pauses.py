"""The routes that pause and resume a job."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from scheduler.api.dependencies import JobName, ServicesDep, reject_unknown_query
from scheduler.api.models.requests import Instant, Reason, RequestModel
from scheduler.api.models.runs import JobDetail
from scheduler.api.problems import PROBLEM_RESPONSES
from scheduler.api.routes.jobs import get_job
from scheduler.audit import ChangeSource

router = APIRouter(
    prefix="/api/jobs/{name}",
    tags=["jobs"],
    responses=PROBLEM_RESPONSES,
    dependencies=[Depends(reject_unknown_query)],
)


class PauseRequest(RequestModel):
    """`until` null: until the job is resumed. An instant without an offset is UTC."""

    until: Instant | None = None
    reason: Reason = ""


@router.post("/pause")
async def pause_job(uses: ServicesDep, name: JobName, body: PauseRequest | None = None) -> JobDetail:
    """Skip a job's scheduled runs until an instant or a resume. An existing pause is replaced.

    The first skipped run is recorded with the reason and stands for the following ones. Every process applies the pause
    within 6 s. A user can still start a run.
    """
    asked = body or PauseRequest()
    await uses.operations.pauses.pause(name, until=asked.until, reason=asked.reason, source=ChangeSource.API)
    return await get_job(uses, name)


@router.post("/resume")
async def resume_job(uses: ServicesDep, name: JobName) -> JobDetail:
    """End a job's pause. Instants that were due meanwhile do not run. A job that is not paused is unchanged."""
    await uses.operations.pauses.resume(name, source=ChangeSource.API)
    return await get_job(uses, name)
