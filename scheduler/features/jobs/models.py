"""Jobs, their pauses and backfills, and actions on all jobs of a selection, as the API and the commands show them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from jobs.runs.states import JobStatus
from scheduler.features.circuits.models import CircuitModel
from scheduler.features.runs.models import RunModel
from scheduler.features.stored_jobs.models import DefinitionProblem
from scheduler.model_base import ListModel, ResponseModel, example_values


class PauseModel(ResponseModel):
    """A current pause. `until` null: until the job is resumed. `summary`: the pause as a sentence."""

    model_config = example_values(summary="paused: deployment of checkout")

    since: datetime
    until: datetime | None
    reason: str
    summary: str


class DependencyModel(ResponseModel):
    """A job that this one depends on.

    `condition`: succeeded, failed or finished. `within`, `wait`: durations such as 5m.
    """

    model_config = example_values(condition="succeeded", wait="10m")

    job: str
    condition: str
    within: str | None
    wait: str


class JobSummary(ResponseModel):
    """A job in a list. `schedule` and `pause` are null without one.

    A job without a schedule runs after the jobs in `depends_on`, or only on demand. `dependents`: jobs that depend on
    it. `has_default_schedule`: the schedule comes from the setting `default_schedule`, because the flat job defines
    none. `next_at` of a paused job is after the end of its pause. `source`: the file that defines it. `status`: as in
    GET /api/changes; `state_since` null: no change is recorded. `target`: what the check contacts, for people, without
    secrets. `wait`: for which job it waits, such as `waiting for database`. `reason`: why it is down, silent, degraded,
    waiting, or unknown because of its runs. Both are empty otherwise. `last_known`: the state before such runs.
    """

    model_config = example_values(
        description="Health of the checkout API",
        enabled=True,
        kind="http",
        depends_on=[],
        pause=None,
        wait="",
        reason="",
        last_known=None,
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
    last_known: JobStatus | None = None
    state_since: datetime | None
    source: str
    tags: dict[str, str]
    url: str


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


class JobList(ListModel[JobSummary]):
    """By name. `continuation` fetches the next page, null on the last. A page can contain fewer than `limit`."""

    jobs: list[JobSummary]
    continuation: str | None


class BackfillRun(ResponseModel):
    model_config = example_values(url="/api/runs/checkout-api@20261128T090000.000Z")

    id: str
    due_at: datetime
    url: str


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


class ActionResult(StrEnum):
    """What an action did to a job."""

    DONE = "done"
    UNCHANGED = "unchanged"
    """The job was in this state already."""
    REFUSED = "refused"
    """The job does not allow the action."""
    FAILED = "failed"
    """The store or the queue failed."""
    SELECTED = "selected"
    """A dry run: the action would be applied to the job."""


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


class ActionReportModel(ResponseModel):
    """The jobs by name. `continuation`: send it with the same selection for the next jobs; null if no job is left.

    A response can contain fewer than `limit` jobs. If the store fails in the middle, the last job has `failed`, and
    the continuation repeats it.
    """

    model_config = example_values(continuation=None)

    dry_run: bool
    jobs: list[JobResultModel]
    continuation: str | None
