"""Dead letters as the API, the commands and the pages show them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from jobs.runs import ErrorClass, Trigger
from scheduler.features.runs.models import AttemptModel
from scheduler.model_base import ListModel, ResponseModel, example_values


class DeadLetterState(StrEnum):
    """`replaying`: its replay was interrupted; another replay request continues it."""

    WAITING = "waiting"
    REPLAYING = "replaying"
    REPLAYED = "replayed"


class DeadLetterSummary(ResponseModel):
    """A dead letter in a list. `job`, `run_id`, `trigger` and `due_at` are null for a message that is not a ticket.

    `replayed_by`: id of the run that replays it.
    """

    model_config = example_values(
        id="20261128T090000.000Z.5f2c1d9b04aa",
        reason="the worker process ended 3 times during the run",
        attempt_count=0,
        replayed_at=None,
        url="/api/dead-letters/20261128T090000.000Z.5f2c1d9b04aa",
    )

    id: str
    at: datetime
    reason: str
    error: ErrorClass | None
    job: str | None
    run_id: str | None
    trigger: Trigger | None
    due_at: datetime | None
    attempt_count: int
    state: DeadLetterState
    replayed_by: str | None
    replayed_at: datetime | None
    url: str


class DeadLetterDetail(DeadLetterSummary):
    """A dead letter with its attempts, the job definition at that time, and a traceback or the invalid message."""

    correlation_id: str | None
    attempts: list[AttemptModel]
    definition: dict[str, Any] | None
    traceback: str
    message: str


class DeadLetterList(ListModel[DeadLetterSummary]):
    """Newest first. `continuation` fetches the next page, null on the last. A page can contain fewer than `limit`."""

    dead_letters: list[DeadLetterSummary]
    continuation: str | None


class ReplayModel(ResponseModel):
    """Letters that are replayed (with `dry_run`: would be), oldest first. `remaining`: number of further matches.

    `unknown_jobs`: jobs of matching letters that no longer exist; their letters are not replayed.
    """

    model_config = example_values(remaining=0, unknown_jobs=[])

    dry_run: bool
    dead_letters: list[DeadLetterSummary]
    remaining: int
    unknown_jobs: list[str]
