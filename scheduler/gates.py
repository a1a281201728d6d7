"""Gates: what may keep a claimed ticket from running, each with its reason. Asked by the worker in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from scheduler.catalog import Entry
from scheduler.stores.pauses import Pause
from scheduler.stores.runs import Runs


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
    """The Functions host: another instance may be at it, so the store says it, and then the worker's own list.

    Of runs that begin at the same time the one with the oldest claim goes on; otherwise each would leave it to the
    others. A claim that another instance is just writing may be missed: two then overlap, rather than none running.
    """

    def __init__(self, runs: Runs, clock: Clock, going: dict[str, set[str]]) -> None:
        self._runs = runs
        self._clock = clock
        self._here = OverlapHere(going)

    async def other_run(self, ticket: Ticket) -> str | None:
        claims = await self._live_claims(ticket.job)
        if claims and claims[0] != ticket.id:
            return claims[0]
        return await self._here.other_run(ticket)

    async def _live_claims(self, job: str) -> Sequence[str]:
        """Ids of the job's runs, oldest claim first: all of its leases are equally long."""
        now = self._clock.now()
        records = await self._runs.running(job)
        leases = ((record.lease_until, record.ticket.id) for record in records if record.lease_until is not None)
        return [run_id for until, run_id in sorted(leases) if until > now]


async def reason_to_skip(ticket: Ticket, entry: Entry, overlap: Overlap, pause: Pause | None = None) -> str | None:
    """Why this ticket is not run, one sentence; None if it is. What people ask for runs though the job is disabled.

    `pause`: the one that holds now for tickets of this trigger.
    """
    job = entry.job
    # Replays are by the definition in force, whichever that is when they run.
    if ticket.trigger is not Trigger.REPLAY and ticket.generation != entry.generation:
        return "the job was changed after this run was planned; the new definition has its own runs"
    if ticket.trigger is Trigger.SCHEDULE and not job.enabled:
        return "the job is disabled"
    if pause is not None:
        return f"the job is {pause}"
    # A replay has waited for the others: see Worker.perform.
    if (
        job.overlap == "skip"
        and ticket.trigger is not Trigger.REPLAY
        and (other := await overlap.other_run(ticket)) is not None
    ):
        return f"the run before it ({other}) was still going (overlap: skip)"
    return None
