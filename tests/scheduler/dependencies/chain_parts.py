"""A store, a catalog and what follows in it, for tests of dependencies: runs end when the test says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from jobs.runs import Outcome, Run, Ticket, Trigger
from scheduler.catalog.catalog import Catalog, CatalogJob
from scheduler.dependencies import DependencyTrigger
from scheduler.stores.gates import Pauses
from scheduler.stores.runs.repository import Claim, RunRecord, Runs
from tests.jobs.running.run_parts import Heard
from tests.scheduler.fakes import Sent, VirtualClock, entry
from tests.scheduler.stores.memory import MemoryStore


def waits_for(name: str, *depends_on: Any, **more: Any) -> CatalogJob:
    """A job without a schedule that depends on these."""
    return entry(name, None, depends_on=list(depends_on), **more)


class Line:
    """Everything about the chains of these jobs."""

    def __init__(self, *jobs: CatalogJob, store: MemoryStore | None = None) -> None:
        self.clock = VirtualClock()
        self.store = store or MemoryStore()
        self.runs = Runs(self.store, self.clock.monotonic)
        self.pauses = Pauses(self.store, self.clock.monotonic)
        self.dispatch = Sent()
        self.heard = Heard()
        self.catalog = Catalog(jobs)
        self.dependents = DependencyTrigger(self.catalog, self.runs, self.pauses, self.dispatch, self.heard, self.clock)

    def scheduled(self, job: str, ago: float = 0.0) -> Ticket:
        due_at = self.clock.now() - timedelta(seconds=ago)
        return Ticket.scheduled(job, due_at, self.catalog.get_job(job).generation)

    def requested(self, job: str) -> Ticket:
        return Ticket.requested(job, self.clock.now(), self.catalog.get_job(job).generation)

    def replayed(self, run: Run) -> Ticket:
        ticket = Ticket(run.id, run.job, run.trigger, run.due_at, run.generation, run.correlation_id)
        return Ticket.replayed(ticket, self.clock.now(), run.generation)

    async def claims(self, ticket: Ticket) -> Claim:
        """The ticket's run goes on from now on."""
        now = self.clock.now()
        claim = await self.runs.claim(ticket, "me", now + timedelta(seconds=60), now)
        assert isinstance(claim, Claim)
        return claim

    async def recorded(
        self, ticket: Ticket, outcome: Outcome = Outcome.SUCCEEDED, message: str = "", claim: Claim | None = None
    ) -> Run:
        """The ticket's run ends now, and nothing follows yet."""
        claim = claim or await self.claims(ticket)
        at = self.clock.now()
        run = Run(
            ticket.id,
            ticket.job,
            ticket.trigger,
            outcome,
            ticket.due_at,
            at,
            at,
            message=message,
            generation=ticket.generation,
            correlation_id=ticket.correlation_id,
        )
        await self.runs.finish(claim, run)
        return run

    async def ends(
        self, ticket: Ticket, outcome: Outcome = Outcome.SUCCEEDED, message: str = "", claim: Claim | None = None
    ) -> Run:
        """The ticket's run ends now, and what follows happens."""
        run = await self.recorded(ticket, outcome, message, claim)
        await self.dependents.start_dependents(run)
        return run

    def sent(self) -> list[Ticket]:
        """The tickets that were handed over since the last call."""
        tickets = [ticket for batch, _ in self.dispatch.sent for ticket in batch]
        self.dispatch.sent.clear()
        return tickets

    def sent_one(self, job: str) -> Ticket:
        (ticket,) = self.sent()
        assert ticket.job == job
        return ticket

    async def history(self, job: str) -> Sequence[RunRecord]:
        return (await self.runs.list_page(job=job)).records

    async def reasons(self, job: str) -> list[str]:
        """Why runs of the job were left out, newest first."""
        runs = [record.run for record in await self.history(job) if record.run is not None]
        return [run.message for run in runs if run.outcome is Outcome.SKIPPED]


def by_hand(ticket: Ticket) -> Ticket:
    return replace(ticket, trigger=Trigger.REPLAY)


def floor_ms(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
