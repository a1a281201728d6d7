"""Response models of backfills."""

from __future__ import annotations

from datetime import datetime

from jobs.runs import Ticket
from scheduler.api.models.base import ResponseModel, example_values
from scheduler.features.runs.models import run_path
from scheduler.operations.backfills import BackfillResult


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
