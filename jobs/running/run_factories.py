"""Builds attempts and runs as they are recorded. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from jobs.expectations.judging import MAX_LISTED_FAILURES, describe_degraded, describe_unmet
from jobs.running.attempt_details import build_details, extract_excerpt
from jobs.runs import Attempt, ErrorClass, Failure, Observation, Outcome, Run, Severity, Ticket
from jobs.runs.outcomes import Reason, ReasonCode

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from jobs.ports import Clock
    from jobs.redaction import Redactor


def is_about_time(failure: Failure) -> bool:
    """Return whether the failed expectation compares the response time."""
    return failure.expectation == "response_time_below"


def mark_starved(attempt: Attempt, unjudged: Sequence[Failure]) -> Attempt:
    """Return the attempt of a scheduler that lacked CPU. `unjudged`: failed expectations about its response time."""
    if not unjudged:
        return replace(attempt, starved=True)
    names = ", ".join(dict.fromkeys(failure.expectation for failure in unjudged))
    note = f"Not judged: {names}, because the scheduler lacked CPU, so the response time is unreliable."
    return replace(attempt, starved=True, message=f"{attempt.message} {note}".lstrip())


ERRORS_UNRELATED_TO_TARGET = frozenset(
    {
        ErrorClass.SECRET_UNAVAILABLE,
        ErrorClass.TOKEN_UNAVAILABLE,
        ErrorClass.TARGET_DENIED,
        ErrorClass.OUT_OF_RESOURCES,
        ErrorClass.INTERNAL_ERROR,
        ErrorClass.INTERRUPTED,
    }
)
"""Errors of this program or its environment: the target's circuit does not count them."""


def build_attempt(
    number: int,
    started_at: datetime,
    seen: Observation,
    failures: tuple[Failure, ...],
    redactor: Redactor,
    excerpt_bytes: int = 0,
) -> Attempt:
    """Build a redacted attempt from an observation and its failed expectations, which `judge` has redacted.

    `excerpt_bytes`: maximum bytes of the body that are stored if the answer failed the attempt.
    """
    details = build_details(seen, redactor.redact)
    if seen.unknown:
        message = redactor.redact(seen.unknown)
        return Attempt(number, started_at, seen.phases, seen.status, message=message, details=details)
    if seen.error is not None:
        error: ErrorClass = seen.error
        message = redactor.redact(seen.message)
        return Attempt(number, started_at, seen.phases, seen.status, error, message, details=details)
    if not failures:
        return Attempt(number, started_at, seen.phases, seen.status, details=details)
    if all(failure.severity is Severity.DEGRADED for failure in failures):
        message = redactor.redact(describe_degraded(failures))
        return Attempt(number, started_at, seen.phases, seen.status, None, message, _most(failures), details=details)
    # The reason is shortened, and a secret that is cut in two would not be redacted.
    error, message = describe_unmet(replace(seen, reason=redactor.redact(seen.reason)), failures)
    return Attempt(
        number,
        started_at,
        seen.phases,
        seen.status,
        error,
        redactor.redact(message),
        _most(failures),
        body=extract_excerpt(seen, excerpt_bytes, redactor.redact),
        details=details,
    )


def _most(failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """Return the failures that history stores, in order: decisive ones before degrading ones. The message counts the
    others."""
    if len(failures) <= MAX_LISTED_FAILURES:
        return failures
    ranked = sorted(range(len(failures)), key=lambda at: failures[at].severity is Severity.DEGRADED)
    return tuple(failures[at] for at in sorted(ranked[:MAX_LISTED_FAILURES]))


def finished_run(
    job: JobDefinition, ticket: Ticket, started_at: datetime, now: datetime, attempts: Sequence[Attempt], note: str
) -> Run:
    """Build the run from its last attempt. `note`: why no further attempt was made.

    A run for which this machine lacked resources is skipped: its result is unrelated to the target. But a run with
    `effect: once` is not executed again, so it has failed.
    """
    last = attempts[-1]
    if last.error is None:
        return _run(job, ticket, Outcome.SUCCEEDED, started_at, now, attempts, message=last.message)
    outcome = Outcome.TIMED_OUT if last.error.is_timeout else Outcome.FAILED
    if job.effect != "once" and all(each.error is ErrorClass.OUT_OF_RESOURCES for each in attempts):
        outcome = Outcome.SKIPPED
    reason = ReasonCode.OUT_OF_RESOURCES if outcome is Outcome.SKIPPED else None
    if last.error is ErrorClass.TARGET_DENIED:
        reason = ReasonCode.TARGET_DENIED
    message = f"{last.message} {note}".rstrip()
    return _run(job, ticket, outcome, started_at, now, attempts, last.error, message, reason)


def blind_run(run: Run, cause: str) -> Run:
    """Return a failed run as one that does not describe its target. `cause`: what the scheduler could not do."""
    message = f"Not judged: {cause}. The last attempt: {run.message}"
    return replace(run, outcome=Outcome.SKIPPED, message=message, reason=ReasonCode.BLIND)


def unknown_run(
    job: JobDefinition, ticket: Ticket, started_at: datetime, now: datetime, attempts: Sequence[Attempt]
) -> Run:
    """Build a run that does not show the state of its target. It is not executed again, whatever its effect."""
    message, reason = attempts[-1].message, ReasonCode.UNKNOWN
    return _run(job, ticket, Outcome.SKIPPED, started_at, now, attempts, message=message, reason=reason)


def overdue_run(
    job: JobDefinition, ticket: Ticket, started_at: datetime, now: datetime, attempts: Sequence[Attempt]
) -> Run:
    """Build a run whose time ended between two attempts."""
    message = f"The run's time ended before attempt {len(attempts) + 1} could start."
    if attempts:
        message += f" The last attempt: {attempts[-1].message}"
    return _run(job, ticket, Outcome.TIMED_OUT, started_at, now, attempts, ErrorClass.RUN_TIMEOUT, message)


def rejected_run(job: JobDefinition, ticket: Ticket, started_at: datetime, now: datetime, reason: str) -> Run:
    """Build a run that the circuit rejected."""
    message = f"Rejected: {reason}."
    code = ReasonCode.CIRCUIT_OPEN
    return _run(job, ticket, Outcome.REJECTED, started_at, now, (), ErrorClass.CIRCUIT_OPEN, message, code)


def cancelled_run(
    job: JobDefinition | None,
    ticket: Ticket,
    started_at: datetime,
    now: datetime,
    attempts: Sequence[Attempt] = (),
    *,
    cancelled_by: str = "",
) -> Run:
    """Build a run that was cancelled (`cancelled_by`: how, such as `over the API`), or interrupted by the program's
    stop.

    `job` None: the job no longer exists.
    """
    if cancelled_by:
        message = f"Cancelled {cancelled_by} before it finished."
        reason = ReasonCode.CANCELLED
        return _run(job, ticket, Outcome.CANCELLED, started_at, now, attempts, message=message, reason=reason)
    message = "The program stopped before the run finished."
    error = ErrorClass.INTERRUPTED
    return _run(job, ticket, Outcome.CANCELLED, started_at, now, attempts, error, message, ReasonCode.SHUTDOWN)


def skipped_run(job: JobDefinition | None, ticket: Ticket, clock: Clock, reason: Reason) -> Run:
    """Build a skipped run. `job` None: no such job."""
    now = clock.now()
    return _run(job, ticket, Outcome.SKIPPED, now, now, message=reason.message, reason=reason.code)


def interrupted_run(ticket: Ticket, started_at: datetime, now: datetime, job: JobDefinition | None = None) -> Run:
    """Build a run whose process died; its result is lost. `job` None: the job no longer exists.

    It is unrelated to the target. But with `effect: once` the effect may be missing, so the run has failed.
    """
    message = "The worker process died during the run; its result is unknown."
    outcome = Outcome.CANCELLED
    if job is not None and job.effect == "once":
        outcome, message = Outcome.FAILED, f"{message} It is not executed again (effect: once)."
    code = ReasonCode.INTERRUPTED
    return _run(job, ticket, outcome, started_at, now, (), ErrorClass.INTERRUPTED, message, code)


def dead_lettered_run(ticket: Ticket, now: datetime, reason: str, job: JobDefinition | None = None) -> Run:
    """Build a run that was given up before its end. It counts as down: a job that cannot run checks nothing."""
    message = f"Given up and stored as a dead letter: {reason}"
    return _run(job, ticket, Outcome.FAILED, now, now, (), ErrorClass.DEAD_LETTERED, message)


def _run(
    job: JobDefinition | None,
    ticket: Ticket,
    outcome: Outcome,
    started_at: datetime,
    now: datetime,
    attempts: Sequence[Attempt] = (),
    error: ErrorClass | None = None,
    message: str = "",
    reason: ReasonCode | None = None,
) -> Run:
    return Run(
        id=ticket.id,
        job=ticket.job,
        trigger=ticket.trigger,
        outcome=outcome,
        due_at=ticket.due_at,
        started_at=started_at,
        finished_at=now,
        attempts=tuple(attempts),
        error=error,
        message=message,
        reason=reason,
        endpoint=job.check.endpoint if job else "",
        generation=ticket.generation,
        correlation_id=ticket.correlation_id,
        tags=job.tags if job else {},
    )
