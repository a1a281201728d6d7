"""What a worker does with the gates, and nothing else, on virtual time: several of them are several processes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobs.running.run_factories import cancelled_run, skipped_run
from jobs.runs import Outcome, Run, Ticket
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates import Gates, RemoteRuns, Skip, SlotLeases, Wait, gates_in_order
from scheduler.stores.gates import Cancellations, Pauses
from scheduler.stores.port import Store
from scheduler.stores.runs.repository import Claim, Runs
from scheduler.stores.slots import Slots
from scheduler.worker.cancellation import RunRegistry
from tests.jobs.running.virtual_time import LoopClock
from tests.scheduler.stores.samples import run_of

LEASE = timedelta(minutes=10)


@dataclass
class Execution:
    """A run that lasts so long; when it is to end before, it takes `lingers` seconds for that."""

    entry: CatalogJob
    ticket: Ticket
    clock: LoopClock
    seconds: float
    lingers: float
    started_at: datetime

    async def run_to_end(self) -> Run:
        try:
            await self.clock.sleep(self.seconds)
        except asyncio.CancelledError:
            await self.clock.sleep(self.lingers)
            raise
        return replace(run_of(self.ticket), started_at=self.started_at, finished_at=self.clock.now())

    def build_cancelled_run(self, cancelled_by: str = "") -> Run:
        return cancelled_run(self.entry.job, self.ticket, self.started_at, self.clock.now(), cancelled_by=cancelled_by)


class GateProcess:
    """One process. `ended`: its runs as they ended; `waiting`: how many tickets wait at its gates.

    `claims_ahead`: seconds before its due instant at which a run is claimed.
    """

    def __init__(
        self,
        store: Store,
        name: str = "me",
        *,
        shared: bool = False,
        max_running: int | None = None,
        claims_ahead: float = 1.0,
    ) -> None:
        self.claims_ahead = claims_ahead
        self.clock = LoopClock()
        self.store = store
        self.name = name
        self.runs = Runs(store, self.clock.monotonic)
        cancellations, slots = Cancellations(store), SlotLeases(Slots(store, name), self.clock)
        self.registry = RunRegistry(cancellations, self.clock)
        self.gates: Gates = gates_in_order(
            clock=self.clock,
            pauses=Pauses(store, self.clock.monotonic),
            runs=self.runs,
            cancel_local=self.registry.cancel,
            slots=slots,
            remote=RemoteRuns(self.runs, slots, cancellations, self.clock) if shared else None,
            max_running=max_running,
        )
        self.ended: list[Run] = []

    @property
    def waiting(self) -> int:
        return len(self.gates.waiting)

    async def perform(self, ticket: Ticket, entry: CatalogJob, seconds: float, lingers: float = 0.0) -> Run:
        """Claim the run ahead of its due instant, then execute and record it."""
        await self.clock.sleep(max(0.0, (ticket.due_at - self.clock.now()).total_seconds() - self.claims_ahead))
        claim = await self.runs.claim(ticket, self.name, ticket.due_at + LEASE, self.clock.now())
        assert isinstance(claim, Claim)
        await self.clock.sleep(max(0.0, (ticket.due_at - self.clock.now()).total_seconds()))
        execution = Execution(entry, ticket, self.clock, seconds, lingers, self.clock.now())
        run = await self._through_the_gates(execution)
        await self.runs.finish(claim, run)
        await self.registry.clear_cancellation(run.id)
        self.ended.append(run)
        return run

    async def _through_the_gates(self, execution: Execution) -> Run:
        ticket, entry = execution.ticket, execution.entry
        try:
            while isinstance(verdict := await self.gates.check(ticket, entry), Wait):
                await self.gates.wait(ticket, verdict)
            execution.started_at = self.clock.now()
            if isinstance(verdict, Skip) and verdict.cancelled_by:
                return execution.build_cancelled_run(verdict.cancelled_by)
            if isinstance(verdict, Skip):
                return skipped_run(entry.job, ticket, self.clock, verdict.reason)
            return await self.registry.run_until_done(ticket, execution)
        finally:
            await self.gates.release(ticket, entry)

    def start(self, ticket: Ticket, entry: CatalogJob, seconds: float) -> asyncio.Task[Run]:
        return asyncio.ensure_future(self.perform(ticket, entry, seconds))


def due(entry: CatalogJob, seconds: float) -> Ticket:
    """A scheduled ticket, due so long from now."""
    return Ticket.scheduled(entry.job.name, LoopClock().now() + timedelta(seconds=seconds), entry.generation)


def times(run: Run) -> tuple[float, float]:
    """When it began and ended, in seconds of the loop."""
    start = LoopClock().now() - timedelta(seconds=LoopClock().monotonic())
    return (run.started_at - start).total_seconds(), (run.finished_at - start).total_seconds()


def outcomes(*runs: Run) -> list[Outcome]:
    return [run.outcome for run in runs]
