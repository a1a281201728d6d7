"""Overlap: what becomes of a run that falls due while another one of its job goes on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from scheduler.catalog import Entry
from scheduler.gates.port import Skip, Verdict, Wait
from scheduler.stores.runs import Runs

BUSY_FOR = timedelta(seconds=5)
"""After which a replay that waits for another run of its job is tried again."""


class Overlap(Protocol):
    """Knows whether another run of a job is still going."""

    async def other_run(self, ticket: Ticket) -> str | None:
        """The id of a run of the same job that is going on; None if there is none."""
        ...


class OverlapHere:
    """The embedded host: every run is in this process, so the worker's own list says it."""

    def __init__(self, going: dict[str, set[str]]) -> None:
        """`going`: ids of the runs in work, by job: Going.by_job."""
        self._going = going

    async def other_run(self, ticket: Ticket) -> str | None:
        return next((run_id for run_id in self._going.get(ticket.job, ()) if run_id != ticket.id), None)


class OverlapAnywhere:
    """The Functions host: another instance may be at it, so the store says it, and then the worker's own list.

    Of runs that begin at the same time the one with the oldest claim goes on; otherwise each would leave it to the
    others. A claim that another instance is just writing may be missed: two then overlap, rather than none running.
    """

    def __init__(self, runs: Runs, clock: Clock, here: OverlapHere) -> None:
        self._runs = runs
        self._clock = clock
        self._here = here

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


class OverlapGate:
    """`overlap: skip`: a run that falls due while another one goes on is left out. A replay waits for the other, as
    it would be lost for good."""

    def __init__(self, overlap: Overlap, clock: Clock) -> None:
        self._overlap = overlap
        self._clock = clock

    def concerns(self, ticket: Ticket, entry: Entry) -> bool:
        return entry.job.overlap == "skip"

    async def ask(self, ticket: Ticket, entry: Entry) -> Verdict:
        other = await self._overlap.other_run(ticket)
        if other is None:
            return None
        if ticket.trigger is Trigger.REPLAY:
            return Wait(self._clock.now() + BUSY_FOR, f"run {other} of its job goes on")
        return Skip(f"the run before it ({other}) was still going (overlap: skip)")

    async def leave(self, ticket: Ticket, entry: Entry) -> None:
        """It holds nothing."""
