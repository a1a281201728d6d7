"""Tickets and runs to store."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from jobs.runs import Attempt, ErrorClass, Outcome, Phases, Run, Ticket, Trigger
from scheduler.stores.runs.repository import Runs
from scheduler.stores.runs.rollups.reading import RollupPart
from scheduler.stores.runs.rollups.tally import Rollup

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
LEASE = timedelta(minutes=1)


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def ticket(job: str = "checkout", seconds: float = 0.0) -> Ticket:
    return Ticket.scheduled(job, at(seconds), "abcdef123456")


def run_of(ticket: Ticket, outcome: Outcome = Outcome.SUCCEEDED) -> Run:
    """As a health check's run ends."""
    failed = outcome is not Outcome.SUCCEEDED
    started = ticket.due_at + timedelta(milliseconds=1)
    attempt = Attempt(
        number=1,
        started_at=started,
        phases=Phases(0.512, 1.25, None, 30.125, 32.0),
        status=503 if failed else 200,
        error=ErrorClass.UNEXPECTED_STATUS if failed else None,
        message="the answer was 503" if failed else "",
    )
    return Run(
        id=ticket.id,
        job=ticket.job,
        trigger=Trigger.SCHEDULE,
        outcome=outcome,
        due_at=ticket.due_at,
        started_at=started,
        finished_at=started + timedelta(milliseconds=33),
        attempts=(attempt,),
        error=attempt.error,
        message=attempt.message,
        endpoint="https://checkout.internal/health",
        generation=ticket.generation,
        correlation_id=ticket.correlation_id,
        tags={"team": "payments"},
    )


def merge_parts(parts: Iterable[RollupPart]) -> Rollup:
    """The sum of parts in the order of time."""
    total = Rollup()
    for part in parts:
        total.merge(part.rollup)
    return total


async def rollup_of(runs: Runs, job: str = "checkout", around: datetime = NOON, days: int = 400) -> Rollup:
    """What is counted of a job's runs so many days before and after the hour of this instant."""
    hour, span = around.replace(minute=0, second=0, microsecond=0), timedelta(days=days)
    return merge_parts(await runs.list_rollups(job, hour - span, hour + span))
