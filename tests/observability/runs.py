"""Runs as the runner makes them, for the tests of what is told about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from jobs.runs import Attempt, ErrorClass, Failure, Outcome, Phases, Run, Severity, Ticket, Trigger
from jobs.runs.events import AttemptRetried, RunFinished, RunStarted
from jobs.runs.outcomes import ReasonCode
from observability.sampling import RunReport

DUE = datetime(2031, 1, 1, 12, 0, 0, tzinfo=UTC)
ENDPOINT = "https://checkout.internal:8443/health"
REFUSED = "checkout.internal:8443 refused the connection"


def ticket(job: str = "checkout", due_at: datetime = DUE) -> Ticket:
    return Ticket.scheduled(job, due_at, "abc")


def failed_attempt(number: int = 1, *, message: str = REFUSED, wait_ms: float | None = 500.0) -> Attempt:
    return Attempt(
        number,
        DUE + timedelta(milliseconds=2),
        Phases(dns_ms=1.0, total_ms=3.0),
        error=ErrorClass.CONNECTION_REFUSED,
        message=message,
        wait_ms=wait_ms,
    )


def good_attempt(number: int = 1, *, total_ms: float = 12.0) -> Attempt:
    phases = Phases(dns_ms=1.0, connect_ms=2.0, tls_ms=3.0, first_byte_ms=5.0, total_ms=total_ms)
    return Attempt(number, DUE + timedelta(milliseconds=2), phases, status=200)


def run(
    outcome: Outcome = Outcome.SUCCEEDED,
    *,
    job: str = "checkout",
    due_at: datetime = DUE,
    attempts: tuple[Attempt, ...] | None = None,
    duration_ms: float = 20.0,
    message: str | None = None,
    tags: dict[str, str] | None = None,
    correlation_id: str | None = None,
    trigger: Trigger = Trigger.SCHEDULE,
) -> Run:
    """Two milliseconds late; by default with one attempt, good or bad as the outcome wants it."""
    made = ticket(job, due_at)
    if attempts is None:
        attempts = {
            Outcome.SUCCEEDED: (good_attempt(),),
            Outcome.FAILED: (failed_attempt(wait_ms=None),),
        }.get(outcome, ())
    started_at = due_at + timedelta(milliseconds=2)
    return Run(
        made.id,
        job,
        trigger,
        outcome,
        due_at,
        started_at,
        started_at + timedelta(milliseconds=duration_ms),
        attempts,
        error=None if outcome is Outcome.SUCCEEDED else ErrorClass.CONNECTION_REFUSED,
        message=message if message is not None else "" if outcome is Outcome.SUCCEEDED else REFUSED,
        endpoint=ENDPOINT,
        generation="abc",
        correlation_id=made.id if correlation_id is None else correlation_id,
        tags=tags or {},
    )


def started(job: str = "checkout") -> RunStarted:
    return RunStarted(ticket(job), ENDPOINT, DUE + timedelta(milliseconds=2))


def retried(job: str = "checkout", *, message: str = REFUSED) -> AttemptRetried:
    return AttemptRetried(ticket(job), ENDPOINT, failed_attempt(message=message))


def reported(made: Run | None = None) -> RunReport:
    return RunReport(made or run())


def finished(made: Run | None = None) -> RunFinished:
    return RunFinished(made or run())


SLOW = Failure("response_time_below", "less than 10 ms", "12 ms", Severity.DEGRADED)


def unknown() -> Run:
    """A run that could not tell the state of its target."""
    message = "403: grant Reader on /subscriptions/1."
    return replace(run(Outcome.SKIPPED, message=message), reason=ReasonCode.UNKNOWN, error=None)


def degraded() -> Run:
    """A run that succeeded, and was slow."""
    message = f"Degraded: {SLOW}."
    return run(attempts=(replace(good_attempt(), failures=(SLOW,), message=message),), message=message)
