"""Tickets, which request a run; what a check observed; attempts and runs as history stores them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from jobs.fast_frozen import fast_frozen
from jobs.formats import format_run_instant, parse_run_instant
from jobs.runs.details import Details, HealthDetail
from jobs.runs.outcomes import ErrorClass, Outcome, ReasonCode, Trigger
from jobs.runs.waits import StartWait


@fast_frozen(frozen=True, slots=True)
class Phases:
    """Milliseconds of each phase of an attempt; None if the phase did not happen or did not end."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    """From the end of the request to the first byte of the answer."""
    total_ms: float = 0.0


_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_NO_FACTS: Mapping[str, Any] = MappingProxyType({})


@fast_frozen(frozen=True, slots=True)
class Observation:
    """What a check observed. Not judged: `error` is set only if no complete answer was received."""

    phases: Phases
    status: int | None = None
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS)
    """Lower-case names; repeated fields are joined by a comma."""
    body: bytes = b""
    body_truncated: bool = False
    error: ErrorClass | None = None
    message: str = ""
    pending: str = ""
    """Why the target cannot be judged yet, a sentence: unless an expectation fails, the run is skipped."""
    unknown: str = ""
    """Why the service that was to report the state of the target could not, a sentence. The run is skipped."""
    retry_after_s: float | None = None
    """Seconds that the target requested with Retry-After (429 or 503)."""
    facts: Mapping[str, Any] = field(default_factory=lambda: _NO_FACTS)
    """Other results of the check's kind, as JSON values: `http_version`, `tls_version`, `rcode`, `answers`, ..."""
    failures: tuple[Failure, ...] = ()
    """For checks with steps: failed expectations of earlier answers that only degrade the run."""
    certificates: tuple[bytes, ...] = ()
    """The certificates of the TLS handshake, DER, the target's own first."""
    health: HealthDetail | None = None
    """The health document that an expectation has read; its texts are not redacted."""


class Severity(StrEnum):
    """The effect of a failed expectation on its attempt: a failure, or a degraded success."""

    FAIL = "fail"
    DEGRADED = "degraded"


@fast_frozen(frozen=True, slots=True)
class Failure:
    """A failed expectation. `expectation` is its key, such as `status` or `json $.status`."""

    expectation: str
    expected: str
    observed: str
    severity: Severity = Severity.FAIL

    def __str__(self) -> str:
        return f"{self.expectation}: expected {self.expected}, observed {self.observed}"


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
    starved: bool = False
    """Whether the scheduler lacked CPU meanwhile: the times are not those of the target."""

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
    waits: tuple[StartWait, ...] = ()
    """Why it started late, the longest first; empty if it started in time, and in rows of older versions."""

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
    def starved(self) -> bool:
        """Whether the scheduler lacked CPU during the last attempt: its response time is unreliable."""
        return bool(self.attempts) and self.attempts[-1].starved

    @property
    def reliable_response_ms(self) -> float | None:
        """The response time for statistics and rules; None without an attempt, and of a starved run."""
        return self.attempts[-1].phases.total_ms if self.attempts and not self.attempts[-1].starved else None

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


@fast_frozen(frozen=True, slots=True)
class Ticket:
    """A message that requests one run. `id` is the run's id: `job@instant` or `job@instant.suffix`.

    The id of a scheduled ticket follows from job and instant alone, so planning it twice cannot run it twice.
    """

    id: str
    job: str
    trigger: Trigger
    due_at: datetime
    generation: str = ""
    correlation_id: str = ""

    @staticmethod
    def scheduled(job: str, due_at: datetime, generation: str) -> Ticket:
        """Return the only ticket of this job for this due instant."""
        return Ticket.stamped(job, due_at, format_run_instant(due_at), generation)

    @staticmethod
    def stamped(job: str, due_at: datetime, stamp: str, generation: str) -> Ticket:
        """Return the same ticket, for a caller that has formatted the instant already."""
        run_id = f"{job}@{stamp}"
        return Ticket(run_id, job, Trigger.SCHEDULE, due_at, generation, run_id)

    @staticmethod
    def requested(job: str, now: datetime, generation: str) -> Ticket:
        """Return a ticket for a run on demand; each call returns another run."""
        due_at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        run_id = f"{job}@{format_run_instant(due_at)}.{secrets.token_hex(4)}"
        return Ticket(run_id, job, Trigger.MANUAL, due_at, generation, run_id)

    @staticmethod
    def replayed(given_up: Ticket, due_at: datetime, generation: str) -> Ticket:
        """Return a ticket that replays a dead letter, linked by its correlation id; each call returns another run."""
        ticket = Ticket.requested(given_up.job, due_at, generation)
        return replace(ticket, trigger=Trigger.REPLAY, correlation_id=given_up.correlation_id or given_up.id)

    @staticmethod
    def following(job: str, due_at: datetime, generation: str, suffix: str, correlation_id: str) -> Ticket:
        """Return the only ticket of this job in the chain with this suffix (see scheduler.dependencies)."""
        run_id = f"{job}@{format_run_instant(due_at)}.{suffix}"
        return Ticket(run_id, job, Trigger.DEPENDENCY, due_at, generation, correlation_id)


def split_run_id(run_id: str) -> tuple[str, datetime, str]:
    """Split a run id into job, instant and suffix ("" for scheduled runs). Raises ValueError if it is not a run id."""
    job, at, rest = run_id.rpartition("@")
    stamp, suffix = rest[:20], rest[20:]
    if not at or not job or (suffix and not suffix.startswith(".")):
        raise ValueError(f"{run_id!r} is not a run id")
    return job, parse_run_instant(stamp), suffix.removeprefix(".")
