"""Attempts and runs, as history stores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta

from jobs.fast_frozen import fast_frozen
from jobs.runs.details import Details
from jobs.runs.error_classes import ErrorClass
from jobs.runs.observation import Failure, Phases
from jobs.runs.outcomes import Outcome, Trigger
from jobs.runs.reasons import ReasonCode

_MILLISECOND = timedelta(milliseconds=1)


@fast_frozen(frozen=True, slots=True)
class Attempt:
    """One attempt of a run, as history stores it."""

    number: int
    started_at: datetime
    phases: Phases
    status: int | None = None
    error: ErrorClass | None = None
    message: str = ""
    """A sentence for the operator; empty if the attempt succeeded and is not degraded."""
    failures: tuple[Failure, ...] = ()
    """Failed expectations; in an attempt that succeeded, those that degrade it."""
    wait_ms: float | None = None
    """Wait before the next attempt; None if none followed."""
    body: str = ""
    """An excerpt of the answer if the answer failed the attempt: text without secrets."""
    details: Details | None = None
    """Steps, TLS session or DNS records; None for other checks, and in rows of older versions."""

    @property
    def succeeded(self) -> bool:
        return self.error is None


@fast_frozen(frozen=True, slots=True)
class Run:
    """A finished execution of a job, which is stored, displayed and published."""

    id: str
    job: str
    trigger: Trigger
    outcome: Outcome
    due_at: datetime
    started_at: datetime
    finished_at: datetime
    attempts: tuple[Attempt, ...] = ()
    error: ErrorClass | None = None
    message: str = ""
    """Why it did not succeed, was skipped or is degraded, a sentence; empty otherwise."""
    reason: ReasonCode | None = None
    """Why it was skipped, rejected, denied its target or cancelled."""
    endpoint: str = ""
    generation: str = ""
    correlation_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def lateness_ms(self) -> float:
        """Start minus due instant."""
        return (self.started_at - self.due_at) / _MILLISECOND

    @property
    def duration_ms(self) -> float:
        return (self.finished_at - self.started_at) / _MILLISECOND

    @property
    def status(self) -> int | None:
        """HTTP status of the last answer."""
        return self.attempts[-1].status if self.attempts else None

    @property
    def response_time_ms(self) -> float | None:
        """Total of the last attempt; None without an attempt."""
        return self.attempts[-1].phases.total_ms if self.attempts else None

    @property
    def degraded(self) -> bool:
        """Whether it succeeded although an expectation of severity `degraded` failed."""
        return self.outcome is Outcome.SUCCEEDED and bool(self.attempts) and bool(self.attempts[-1].failures)

    @property
    def retried(self) -> bool:
        return len(self.attempts) > 1

    @property
    def counts_for_availability(self) -> bool:
        """Whether the target was up or down at the due instant. False for skipped and cancelled runs and for
        backfills."""
        return self.trigger is not Trigger.BACKFILL and (self.outcome is Outcome.SUCCEEDED or self.outcome.down)
