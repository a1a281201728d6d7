"""Changes of states, entries of health documents and marked deployments, as the API and the commands show them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from jobs.runs.details import EntryEffect
from scheduler.model_base import ListModel, ResponseModel, example_values

StateName = Literal["unknown", "up", "degraded", "down", "silent", "waiting", "paused", "disabled", "removed"]


class ChangeCauseModel(ResponseModel):
    """`code`: the reason or the error class of the run, `succeeded`, or that of an operation such as `job_paused`."""

    model_config = example_values(code="unexpected_status", message="Expected status 200, got 503.")

    code: str
    message: str


class ChangeModel(ResponseModel):
    """A job entered a state. `number`: 1 for the first change of the job. `unknown`: no run has finished since it was
    resumed, enabled or added again, or its newest run could not tell the state: the code of its cause is `unknown`.
    `silent`: a heartbeat without pings. `waiting`: its newest run was skipped, because a job that it depends on has not
    run as required.

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


class ChangeListModel(ListModel[ChangeModel]):
    """Changes, newest first. `continuation` fetches older ones; null on the last page."""

    changes: list[ChangeModel]
    continuation: str | None


EntryStatusName = Literal["up", "degraded", "down", "unknown", "missing"]


class EntryChangeModel(ResponseModel):
    """An entry entered a status."""

    at: datetime
    status: EntryStatusName


class HealthEntryModel(ResponseModel):
    """An entry of the health documents or rows of a job, and its present status. `missing`: the answers do not have it
    any more; the other fields are then those of the last one that had it.

    `reported_status`: as the target wrote it. `effect`: what the entry counts for the job: none, degraded or down.
    `text` and `run_id`: of the run at `since`. `recent_failures`: how often it became degraded or down in the last
    seven days. `changes`: at most 20, newest first.
    """

    model_config = example_values(
        name="cosmosdb",
        status="down",
        reported_status="Unhealthy",
        effect="down",
        text="timeout",
        observed="",
        since="2026-11-28T03:01:00.120Z",
        recent_failures=3,
        run_id="checkout-api@20261128T030100.000Z",
        run_url="/api/runs/checkout-api@20261128T030100.000Z",
        changes=[
            {"at": "2026-11-28T03:01:00.120Z", "status": "down"},
            {"at": "2026-11-27T09:00:00.120Z", "status": "up"},
        ],
    )

    name: str
    status: EntryStatusName
    reported_status: str
    effect: EntryEffect
    text: str
    observed: str
    since: datetime
    recent_failures: int
    run_id: str
    run_url: str
    changes: list[EntryChangeModel]


class HealthEntryListModel(ListModel[HealthEntryModel]):
    """The entries of the health documents or rows of a job: those of the last answer that changed one, then missing
    ones.

    Empty if no expectation `health` or `rows` has read entries so far.
    """

    entries: list[HealthEntryModel]


class MarkerModel(ResponseModel):
    """A deployment. `tags`: it concerns the jobs that have all of them; none: all jobs. `author`: a principal.

    `limited_to`: and only jobs with one of these tags, because its author is limited to them.
    """

    model_config = example_values(
        id="1795856400000-5f2c1d9b",
        at="2026-11-28T09:00:00Z",
        text="checkout 4ebecbce",
        tags={"team": "payments"},
        author="api_key:deploy",
        limited_to=[],
    )

    id: str
    at: datetime
    text: str
    tags: dict[str, str]
    author: str
    limited_to: list[str]


class CreatedMarkerModel(MarkerModel):
    """A new marker. `jobs`: those that it concerns now. None: no job has its tags."""

    jobs: list[str]


class MarkerListModel(ListModel[MarkerModel]):
    """Marked deployments, newest first. `continuation` fetches the next page; null on the last."""

    markers: list[MarkerModel]
    continuation: str | None
