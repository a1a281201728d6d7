"""The value of a dead letter. Used by dead_letters.repository, and by the parts that write, show and replay letters."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobs.formats.instants import format_run_instant
from jobs.runs import Attempt, ErrorClass, Run, Ticket

if TYPE_CHECKING:
    from jobs.definition import JobDefinition

LONGEST_LETTER_MESSAGE = 100_000
"""Characters that are stored of a message, and of a traceback. A queue accepts 64 KiB."""
LARGEST_LETTER_DEFINITION = 200_000
"""Characters of a definition as JSON. A larger one is omitted, because the row would be too large."""


@dataclass(frozen=True, slots=True)
class LetterReplay:
    """A started replay. Its ticket is final, so that starting again after a crash makes no second run.

    `done`: its run is stored and dispatched.
    """

    ticket: Ticket
    at: datetime
    done: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A ticket that was given up, or the text of a `message` that is not a batch of tickets.

    `attempts`: how often it was tried (a message: delivered), 0 if unknown. `tried`: each attempt of the run. `error`:
    that of the last one. `definition`: the job at that time. `traceback`: of a bug in the scheduler.
    """

    id: str
    reason: str
    at: datetime
    ticket: Ticket | None = None
    message: str = ""
    attempts: int = 0
    tried: tuple[Attempt, ...] = ()
    error: ErrorClass | None = None
    definition: Mapping[str, Any] | None = None
    traceback: str = ""
    replay: LetterReplay | None = None

    @staticmethod
    def from_run(run: Run, ticket: Ticket, job: JobDefinition, traceback: str = "") -> DeadLetter:
        """Return the letter of a run that is down after its last attempt."""
        return DeadLetter(
            DeadLetter.id_for_run(run),
            run.message,
            run.finished_at,
            ticket=ticket,
            attempts=len(run.attempts),
            tried=run.attempts,
            error=run.error,
            definition=_definition_to_store(job),
            traceback=traceback[-LONGEST_LETTER_MESSAGE:],
        )

    @staticmethod
    def id_for_run(run: Run) -> str:
        """Return the id of the letter that `from_run` makes: the same for each process that finishes the run."""
        return _letter_id(run.due_at, run.id)

    @staticmethod
    def from_ticket(
        ticket: Ticket, reason: str, at: datetime, attempts: int = 0, job: JobDefinition | None = None
    ) -> DeadLetter:
        """Return the letter of a ticket. `job` None: no such job exists now."""
        definition = None if job is None else _definition_to_store(job)
        return DeadLetter(
            _letter_id(at, ticket.id), reason, at, ticket=ticket, attempts=attempts, definition=definition
        )

    @staticmethod
    def from_message(text: str, reason: str, at: datetime, attempts: int = 0) -> DeadLetter:
        return DeadLetter(_letter_id(at, text), reason, at, message=text[:LONGEST_LETTER_MESSAGE], attempts=attempts)

    @property
    def job(self) -> str | None:
        return None if self.ticket is None else self.ticket.job


@dataclass(frozen=True, slots=True)
class LetterPage:
    """`continuation` is the id after which the next page begins; None on the last one."""

    letters: tuple[DeadLetter, ...]
    continuation: str | None


def _definition_to_store(job: JobDefinition) -> Mapping[str, Any] | None:
    if len(job.model_dump_json(by_alias=True)) > LARGEST_LETTER_DEFINITION:
        return None
    return job.to_json()


def _letter_id(at: datetime, content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{format_run_instant(at)}.{digest}"
