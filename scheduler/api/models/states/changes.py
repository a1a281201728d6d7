"""Response models of the changes of states."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from jobs.runs.states import StateChange
from scheduler.api.models.base import ResponseModel, example_values
from scheduler.features.runs.models import run_path

StateName = Literal["unknown", "up", "degraded", "down", "silent", "waiting", "paused", "disabled", "removed"]


class ChangeCauseModel(ResponseModel):
    """`code`: the reason or the error class of the run, `succeeded`, or that of an operation such as `job_paused`."""

    model_config = example_values(code="unexpected_status", message="Expected status 200, got 503.")

    code: str
    message: str


class ChangeModel(ResponseModel):
    """A job entered a state. `number`: 1 for the first change of the job. `unknown`: no run has finished since it was
    resumed, enabled or added again. `silent`: a heartbeat without pings. `waiting`: its newest run was skipped, because
    a job that it depends on has not run as required.

    `run_id` is null if no run caused the change, `previous` on the first one. `previous_seconds`: how long it lasted.
    """

    model_config = example_values(
        number=7,
        state="down",
        at="2026-11-28T09:00:00.120Z",
        previous="up",
        previous_since="2026-11-27T09:00:00.120Z",
        previous_seconds=86400.0,
        run_url="/api/runs/checkout-api@20261128T090000.000Z",
    )

    job: str
    number: int
    state: StateName
    at: datetime
    previous: StateName | None
    previous_since: datetime | None
    previous_seconds: float | None
    cause: ChangeCauseModel
    run_id: str | None
    run_url: str | None

    @classmethod
    def from_change(cls, change: StateChange) -> ChangeModel:
        since = change.previous_since
        return cls(
            job=change.job,
            number=change.number,
            state=change.state.value,
            at=change.at,
            previous=None if change.previous is None else change.previous.value,
            previous_since=since,
            previous_seconds=None if since is None else (change.at - since).total_seconds(),
            cause=ChangeCauseModel(code=change.cause.code, message=change.cause.message),
            run_id=change.run or None,
            run_url=run_path(change.run) if change.run else None,
        )


class ChangeListModel(ResponseModel):
    """Changes, newest first. `continuation` fetches older ones; null on the last page."""

    changes: list[ChangeModel]
    continuation: str | None
