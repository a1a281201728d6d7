"""Gates: what may keep a claimed ticket from running, each with its reason. Asked by the worker in order."""

from __future__ import annotations

from typing import Protocol

from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from scheduler.catalog import Entry
from scheduler.stores.runs import Runs, RunState


class Overlap(Protocol):
    """Knows whether another run of a job is still going."""

    async def other_run(self, ticket: Ticket) -> str | None:
        """The id of a run of the same job that is going on; None if there is none."""
        ...


class OverlapHere:
    """The embedded host: every run is in this process, so the worker's own list says it."""

    def __init__(self, going: dict[str, set[str]]) -> None:
        """`going`: ids of the runs in work, by job; the worker keeps it."""
        self._going = going

    async def other_run(self, ticket: Ticket) -> str | None:
        return next((run_id for run_id in self._going.get(ticket.job, ()) if run_id != ticket.id), None)


class OverlapAnywhere:
    """The Functions host: another instance may be at it, so the store says it."""

    LOOK_BACK = 5

    def __init__(self, runs: Runs, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock

    async def other_run(self, ticket: Ticket) -> str | None:
        page = await self._runs.list(job=ticket.job, limit=self.LOOK_BACK)
        now = self._clock.now()
        for record in page.records:
            lively = record.state is RunState.RUNNING and record.lease_until is not None and record.lease_until > now
            if lively and record.ticket.id != ticket.id:
                return record.ticket.id
        return None


async def reason_to_skip(ticket: Ticket, entry: Entry, overlap: Overlap) -> str | None:
    """Why this ticket is not run, one sentence; None if it is. What people ask for runs though the job is disabled."""
    job = entry.job
    if ticket.generation != entry.generation:
        return "the job was changed after this run was planned; the new definition has its own runs"
    if ticket.trigger is Trigger.SCHEDULE and not job.enabled:
        return "the job is disabled"
    if job.overlap == "skip" and (other := await overlap.other_run(ticket)) is not None:
        return f"the run before it ({other}) was still going (overlap: skip)"
    return None
