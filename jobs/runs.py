"""What happens: ticket -> observation -> attempt -> run, as small frozen values.

Made by the runner (jobs.running) and the checks (jobs.checks); stored, shown and sent by everything above.
All times are aware UTC datetimes, all `*_ms` floats of milliseconds.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from jobs.details import Details
from jobs.fast_frozen import value
from jobs.reasons import ReasonCode


class Trigger(StrEnum):
    """Why a run happens."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    DEPENDENCY = "dependency"
    REPLAY = "replay"
    """A run that was given up is performed again."""
    BACKFILL = "backfill"
    """A due instant of the past is made up for. What the run finds out is of now and not of that instant."""

    @property
    def is_rerun(self) -> bool:
        """Whether people asked for a run that was due in the past: it waits for others and is never skipped."""
        return self is Trigger.REPLAY or self is Trigger.BACKFILL


class Outcome(StrEnum):
    """How a run ended. `down` outcomes count against the target."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def down(self) -> bool:
        """Whether it says that the target is not well: an open circuit counts, it must never hide an outage."""
        return self in (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.REJECTED)


class ErrorClass(StrEnum):
    """What went wrong, as one word that can be counted and alerted on."""

    DNS_FAILURE = "dns_failure"
    DNS_TIMEOUT = "dns_timeout"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_RESET = "connection_reset"
    CONNECTION_FAILED = "connection_failed"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS_CERTIFICATE = "tls_certificate"
    TLS_FAILURE = "tls_failure"
    TLS_TIMEOUT = "tls_timeout"
    RESPONSE_TIMEOUT = "response_timeout"
    BODY_TIMEOUT = "body_timeout"
    PROTOCOL_ERROR = "protocol_error"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    UNEXPECTED_STATUS = "unexpected_status"
    EXPECTATION_FAILED = "expectation_failed"
    DNS_ANSWER = "dns_answer"
    """The DNS answered, and with an error: NXDOMAIN, SERVFAIL, REFUSED."""
    TARGET_DENIED = "target_denied"
    """The program may not connect there, by its settings."""
    HEARTBEAT_MISSING = "heartbeat_missing"
    HEARTBEAT_FAILED = "heartbeat_failed"
    STEP_FAILED = "step_failed"
    CIRCUIT_OPEN = "circuit_open"
    SECRET_UNAVAILABLE = "secret_unavailable"
    TOKEN_UNAVAILABLE = "token_unavailable"
    RUN_TIMEOUT = "run_timeout"
    INTERRUPTED = "interrupted"
    DEAD_LETTERED = "dead_lettered"
    OUT_OF_RESOURCES = "out_of_resources"
    """This machine lacked what a connection needs, such as a file descriptor. The target was not asked."""
    INTERNAL_ERROR = "internal_error"

    @property
    def is_connection(self) -> bool:
        """No usable answer came because the connection could not be made or kept."""
        return self in _CONNECTION

    @property
    def is_timeout(self) -> bool:
        """A deadline passed."""
        return self in _TIMEOUT


_CONNECTION = frozenset(
    {
        ErrorClass.DNS_FAILURE,
        ErrorClass.CONNECTION_REFUSED,
        ErrorClass.CONNECTION_RESET,
        ErrorClass.CONNECTION_FAILED,
        ErrorClass.TLS_FAILURE,
        ErrorClass.PROTOCOL_ERROR,
    }
)
_TIMEOUT = frozenset(
    {
        ErrorClass.DNS_TIMEOUT,
        ErrorClass.CONNECT_TIMEOUT,
        ErrorClass.TLS_TIMEOUT,
        ErrorClass.RESPONSE_TIMEOUT,
        ErrorClass.BODY_TIMEOUT,
        ErrorClass.RUN_TIMEOUT,
    }
)


def format_run_instant(instant: datetime) -> str:
    """An instant as run ids carry it: `20261125T015030.000Z`, UTC, milliseconds."""
    at = instant.astimezone(UTC)
    # One is made for each ticket: strftime takes three times as long, format and f-strings half as long again.
    parts = (at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond // 1000)
    return "%04d%02d%02dT%02d%02d%02d.%03dZ" % parts  # noqa: UP031


def parse_run_instant(text: str) -> datetime:
    """The inverse of `format_run_instant`. Raises ValueError."""
    return datetime.strptime(text, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)


@value(frozen=True, slots=True)
class Ticket:
    """Run this job for this cause at this instant. `id` is the run's id: `job@instant` or `job@instant.suffix`.

    The id of a scheduled ticket follows from job and instant alone, so planning twice cannot run it twice.
    """

    id: str
    job: str
    trigger: Trigger
    due_at: datetime
    generation: str = ""
    correlation_id: str = ""

    @staticmethod
    def scheduled(job: str, due_at: datetime, generation: str) -> Ticket:
        """The one ticket of this job for this due instant."""
        return Ticket.stamped(job, due_at, format_run_instant(due_at), generation)

    @staticmethod
    def stamped(job: str, due_at: datetime, stamp: str, generation: str) -> Ticket:
        """The same for who has the `format_run_instant` of many tickets at hand."""
        run_id = f"{job}@{stamp}"
        return Ticket(run_id, job, Trigger.SCHEDULE, due_at, generation, run_id)

    @staticmethod
    def requested(job: str, now: datetime, generation: str) -> Ticket:
        """A ticket that somebody asked for; each one is another run."""
        due_at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        run_id = f"{job}@{format_run_instant(due_at)}.{secrets.token_hex(4)}"
        return Ticket(run_id, job, Trigger.MANUAL, due_at, generation, run_id)

    @staticmethod
    def replayed(given_up: Ticket, due_at: datetime, generation: str) -> Ticket:
        """A ticket for a run that was given up, linked to it by its correlation id; each one is another run."""
        ticket = Ticket.requested(given_up.job, due_at, generation)
        return replace(ticket, trigger=Trigger.REPLAY, correlation_id=given_up.correlation_id or given_up.id)

    @staticmethod
    def following(job: str, due_at: datetime, generation: str, suffix: str, correlation_id: str) -> Ticket:
        """The one ticket of this job in a chain of runs: the suffix says in which (see scheduler.dependencies.chains)."""
        run_id = f"{job}@{format_run_instant(due_at)}.{suffix}"
        return Ticket(run_id, job, Trigger.DEPENDENCY, due_at, generation, correlation_id)


def split_run_id(run_id: str) -> tuple[str, datetime, str]:
    """A run id's job, instant and suffix ("" when scheduled). Raises ValueError if it is not a run id."""
    job, at, rest = run_id.rpartition("@")
    stamp, suffix = rest[:20], rest[20:]
    if not at or not job or (suffix and not suffix.startswith(".")):
        raise ValueError(f"{run_id!r} is not a run id")
    return job, parse_run_instant(stamp), suffix.removeprefix(".")


@value(frozen=True, slots=True)
class Phases:
    """Milliseconds that each phase of one attempt took; None where it did not happen (or did not end)."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    """From the request sent to the first byte of the answer."""
    total_ms: float = 0.0


_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_NO_FACTS: Mapping[str, Any] = MappingProxyType({})


@value(frozen=True, slots=True)
class Observation:
    """What a check saw once. It judges nothing: `error` is set only if no whole answer could be had."""

    phases: Phases
    status: int | None = None
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS)
    """Names in lower case; repeated fields joined by a comma."""
    body: bytes = b""
    body_truncated: bool = False
    error: ErrorClass | None = None
    message: str = ""
    pending: str = ""
    """Why nothing can be said of the target yet, a sentence: unless an expectation fails, the run is skipped."""
    retry_after_s: float | None = None
    """Seconds that the target asked to wait (Retry-After of a 429 or 503)."""
    facts: Mapping[str, Any] = field(default_factory=lambda: _NO_FACTS)
    """What else its kind has seen, as JSON values: `http_version`, `tls_version`, `rcode`, `answers`, ..."""
    failures: tuple[Failure, ...] = ()
    """Of steps: what did not hold of an answer on the way, and does no more than degrade."""
    certificates: tuple[bytes, ...] = ()
    """What the other side showed in the TLS handshake, DER, its own certificate first."""


class Severity(StrEnum):
    """What an expectation that does not hold makes of an attempt: a failure, or a success that is degraded."""

    FAIL = "fail"
    DEGRADED = "degraded"


@value(frozen=True, slots=True)
class Failure:
    """An expectation that did not hold. `expectation` is its key, such as `status` or `json $.status`."""

    expectation: str
    expected: str
    observed: str
    severity: Severity = Severity.FAIL

    def __str__(self) -> str:
        return f"{self.expectation}: expected {self.expected}, observed {self.observed}"


@value(frozen=True, slots=True)
class Attempt:
    """One try of a run, as history keeps it."""

    number: int
    started_at: datetime
    phases: Phases
    status: int | None = None
    error: ErrorClass | None = None
    message: str = ""
    """A sentence for the operator; empty when the attempt succeeded and nothing is degraded."""
    failures: tuple[Failure, ...] = ()
    """What did not hold; of an attempt that succeeded, what is degraded."""
    wait_ms: float | None = None
    """Waited before the next attempt; None if none followed."""
    body: str = ""
    """The begin of the answer, where that is why it failed: for people, without secrets."""
    details: Details | None = None
    """Steps, TLS session or DNS records that its check saw; None for other checks, and in rows of older versions."""

    @property
    def succeeded(self) -> bool:
        return self.error is None


@value(frozen=True, slots=True)
class Run:
    """One finished execution of a job, as it is stored, shown and sent."""

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
    """Why it did not succeed, was skipped or is degraded, one sentence; empty when all is well."""
    reason: ReasonCode | None = None
    """Why it was skipped, rejected or cancelled."""
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
        """The last answer's HTTP status."""
        return self.attempts[-1].status if self.attempts else None

    @property
    def response_time_ms(self) -> float | None:
        """The last attempt's total; None when nothing was asked."""
        return self.attempts[-1].phases.total_ms if self.attempts else None

    @property
    def degraded(self) -> bool:
        """It succeeded, and an expectation of severity `degraded` did not hold."""
        return self.outcome is Outcome.SUCCEEDED and bool(self.attempts) and bool(self.attempts[-1].failures)

    @property
    def retried(self) -> bool:
        return len(self.attempts) > 1

    @property
    def counts_for_availability(self) -> bool:
        """Whether it says that the target was up or down when it was due: what was skipped, cancelled or made up for
        later does not."""
        return self.trigger is not Trigger.BACKFILL and (self.outcome is Outcome.SUCCEEDED or self.outcome.down)


_MILLISECOND = timedelta(milliseconds=1)
