"""Pausing and resuming a job."""

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
    """`until` null: until it is resumed. An instant without an offset is UTC."""

    until: Instant | None = None
    reason: Reason = ""


@router.post("/pause")
async def pause_job(uses: ServicesDep, name: JobName, body: PauseRequest | None = None) -> JobDetail:
    """Leave out a job's scheduled runs, until an instant or until it is resumed; a pause that it has is replaced.

    What is left out is recorded as skipped with the reason: the first run by which every process knows of the pause
    (within 6 s), which stands for those after it.
    What people ask for runs all the same. Other processes follow within a few seconds.
    """
    asked = body or PauseRequest()
    await uses.operations.pauses.pause(name, until=asked.until, reason=asked.reason, source=ChangeSource.API)
    return await get_job(uses, name)


@router.post("/resume")
async def resume_job(uses: ServicesDep, name: JobName) -> JobDetail:
    """End a job's pause. What fell due meanwhile is not run; a job that was not paused stays as it is."""
    await uses.operations.pauses.resume(name, source=ChangeSource.API)
    return await get_job(uses, name)
