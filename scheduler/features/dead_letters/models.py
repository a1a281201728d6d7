"""Response models of dead letters."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from jobs.runs import ErrorClass, Trigger
from scheduler.features.dead_letters.service import ReplayResult, find_letter_state
from scheduler.features.runs.models import AttemptModel
from scheduler.identity.literals import show_definition
from scheduler.identity.principal import Principal
from scheduler.model_base import ResponseModel, example_values
from scheduler.stores.dead_letters import DeadLetter, LetterPage


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

    @classmethod
    def from_letter(cls, letter: DeadLetter) -> DeadLetterSummary:
        return cls(**_summary_fields(letter))


class DeadLetterDetail(DeadLetterSummary):
    """A dead letter with its attempts, the job definition at that time, and a traceback or the invalid message."""

    correlation_id: str | None
    attempts: list[AttemptModel]
    definition: dict[str, Any] | None
    traceback: str
    message: str

    @classmethod
    def from_full_letter(cls, letter: DeadLetter, principal: Principal) -> DeadLetterDetail:
        return cls(
            **_summary_fields(letter),
            correlation_id=letter.ticket.correlation_id if letter.ticket else None,
            attempts=[AttemptModel.from_attempt(attempt) for attempt in letter.tried],
            definition=dict(show_definition(letter.definition, principal)) if letter.definition is not None else None,
            traceback=letter.traceback,
            message=letter.message,
        )


def replay_state(letter: DeadLetter) -> DeadLetterState:
    return DeadLetterState(find_letter_state(letter))


def _summary_fields(letter: DeadLetter) -> dict[str, Any]:
    ticket, replay = letter.ticket, letter.replay
    return {
        "id": letter.id,
        "at": letter.at,
        "reason": letter.reason,
        "error": letter.error,
        "job": letter.job,
        "run_id": ticket.id if ticket else None,
        "trigger": ticket.trigger if ticket else None,
        "due_at": ticket.due_at if ticket else None,
        "attempt_count": letter.attempts,
        "state": replay_state(letter),
        "replayed_by": replay.ticket.id if replay else None,
        "replayed_at": replay.at if replay else None,
        "url": f"/api/dead-letters/{letter.id}",
    }


class DeadLetterList(ResponseModel):
    """Newest first. `continuation` fetches the next page, null on the last. A page can contain fewer than `limit`."""

    dead_letters: list[DeadLetterSummary]
    continuation: str | None

    @classmethod
    def from_page(cls, page: LetterPage) -> DeadLetterList:
        return cls(
            dead_letters=[DeadLetterSummary.from_letter(letter) for letter in page.letters],
            continuation=page.continuation,
        )


class ReplayModel(ResponseModel):
    """Letters that are replayed (with `dry_run`: would be), oldest first. `remaining`: number of further matches.

    `unknown_jobs`: jobs of matching letters that no longer exist; their letters are not replayed.
    """

    model_config = example_values(remaining=0, unknown_jobs=[])

    dry_run: bool
    dead_letters: list[DeadLetterSummary]
    remaining: int
    unknown_jobs: list[str]

    @classmethod
    def from_result(cls, replayed: ReplayResult, *, dry_run: bool) -> ReplayModel:
        return cls(
            dry_run=dry_run,
            dead_letters=[DeadLetterSummary.from_letter(letter) for letter in replayed.letters],
            remaining=replayed.remaining,
            unknown_jobs=list(replayed.unknown_jobs),
        )
