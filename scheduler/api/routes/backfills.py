"""The route that backfills a job."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from fastapi import APIRouter, Depends
from pydantic import Field

from jobs.runs import Ticket
from scheduler.api.dependencies import JobName, ServicesDep, reject_unknown_query
from scheduler.api.models.base import ResponseModel
from scheduler.api.models.requests import Instant, RequestModel
from scheduler.api.models.runs import run_path
from scheduler.api.problems import PROBLEM_RESPONSES
from scheduler.audit import ChangeSource
from scheduler.operations.backfills import BackfillResult

router = APIRouter(
    prefix="/api/jobs/{name}",
    tags=["jobs"],
    responses=PROBLEM_RESPONSES,
    dependencies=[Depends(reject_unknown_query)],
)


class BackfillRequest(RequestModel):
    """The range with both ends inclusive; `to` defaults to now. An instant without an offset is UTC.

    `leave_skipped`: do not run instants whose run was skipped. `before_first_version`: also run instants before the job
    existed; without it, a range with such instants is rejected.
    """

    since: Instant = Field(alias="from")
    until: Instant | None = Field(default=None, alias="to")
    limit: int = Field(default=100, ge=1, le=1000)
    leave_skipped: bool = False
    before_first_version: bool = False
    dry_run: bool = False


class BackfillRun(ResponseModel):
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

    job: str
    dry_run: bool
    runs: list[BackfillRun]
    ran: int
    skipped: int

    @classmethod
    def from_result(cls, job: str, done: BackfillResult, *, dry_run: bool) -> BackfillModel:
        runs = [BackfillRun.from_ticket(ticket) for ticket in done.tickets]
        return cls(job=job, dry_run=dry_run, runs=runs, ran=done.already_run, skipped=done.skipped)


@router.post("/backfill", status_code=HTTPStatus.ACCEPTED)
async def backfill_job(uses: ServicesDep, name: JobName, body: BackfillRequest) -> BackfillModel:
    """Queue a run for each due instant of a past range that has not run or was skipped. They execute one by one.

    The runs check the target now. They have the trigger `backfill` and count neither in uptime nor as the job's latest
    run. A repeated request creates no second run. 400 if more than `limit` runs are needed.
    """
    done = await uses.operations.backfills.backfill(
        name,
        body.since,
        body.until,
        limit=body.limit,
        leave_skipped=body.leave_skipped,
        before_first_version=body.before_first_version,
        dry_run=body.dry_run,
        source=ChangeSource.API,
    )
    return BackfillModel.from_result(name, done, dry_run=body.dry_run)
