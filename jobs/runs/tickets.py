"""Tickets, which request a run, and the ids of runs."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime

from jobs.fast_frozen import fast_frozen
from jobs.formats.instants import format_run_instant, parse_run_instant
from jobs.runs.outcomes import Trigger


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
        """Return the only ticket of this job in the chain with this suffix (see scheduler.dependencies.chains)."""
        run_id = f"{job}@{format_run_instant(due_at)}.{suffix}"
        return Ticket(run_id, job, Trigger.DEPENDENCY, due_at, generation, correlation_id)


def split_run_id(run_id: str) -> tuple[str, datetime, str]:
    """Split a run id into job, instant and suffix ("" for scheduled runs). Raises ValueError if it is not a run id."""
    job, at, rest = run_id.rpartition("@")
    stamp, suffix = rest[:20], rest[20:]
    if not at or not job or (suffix and not suffix.startswith(".")):
        raise ValueError(f"{run_id!r} is not a run id")
    return job, parse_run_instant(stamp), suffix.removeprefix(".")
