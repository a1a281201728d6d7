"""Backfilling a job."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from jobs.runs import Ticket
from scheduler.api.bodies import Body, Instant
from scheduler.api.models import run_path
from scheduler.api.parameters import JobName, Uses, only_from_here, only_known_parameters
from scheduler.api.problems import PROBLEM_RESPONSES
from scheduler.operations import Way

router = APIRouter(
    prefix="/api/jobs/{name}",
    tags=["jobs"],
    responses=PROBLEM_RESPONSES,
    dependencies=[Depends(only_known_parameters), Depends(only_from_here)],
)


class BackfillRequest(Body):
    """The interval, its ends included; `to` null: until now. An instant without an offset is UTC."""

    since: Instant = Field(alias="from")
    until: Instant | None = Field(default=None, alias="to")
    limit: int = Field(default=100, ge=1, le=1000)
    dry_run: bool = False


class BackfillRun(BaseModel):
    id: str
    due_at: datetime
    url: str

    @classmethod
    def of(cls, ticket: Ticket) -> BackfillRun:
        return cls(id=ticket.id, due_at=ticket.due_at, url=run_path(ticket.id))


class BackfillModel(BaseModel):
    """`runs`: what is queued (with `dry_run`: what would be), oldest first. `ran`: instants that have a run already."""

    job: str
    dry_run: bool
    runs: list[BackfillRun]
    ran: int


@router.post("/backfill", status_code=HTTPStatus.ACCEPTED)
async def backfill_job(uses: Uses, name: JobName, body: BackfillRequest) -> BackfillModel:
    """Run what fell due in a past interval and has no run, one after the other.

    What has a run, also a skipped one, is left as it is, so asking again does no harm. 400 with the number if more
    than `limit` instants have none.
    """
    done = await uses.operations.backfilling.backfill(
        name, body.since, body.until, limit=body.limit, dry_run=body.dry_run, way=Way.API
    )
    runs = [BackfillRun.of(ticket) for ticket in done.tickets]
    return BackfillModel(job=name, dry_run=body.dry_run, runs=runs, ran=done.ran)
