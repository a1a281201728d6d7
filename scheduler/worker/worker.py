"""The entry point of the worker: submits tickets to the background, or waits for their ends.

Called by scheduler.hosts. `batches` handles a batch, `execution` one ticket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

from jobs.running.runner import RunnerLoad
from jobs.running.starvation import StarvationReading
from jobs.runs import Run, Ticket
from scheduler.gates import Wait
from scheduler.planning.plan import MissedSpan
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.runs.repository import AlreadyClaimed, Claim
from scheduler.worker.batches import BackgroundEnds, BackgroundTasks, TicketBatches, TicketEnds
from scheduler.worker.places import PlacesReport
from scheduler.worker.publishing import RunPublisher
from scheduler.worker.skipping import FailedClaims, PendingTickets, SkipRecorder
from scheduler.worker.store_outages import BacklogState
from scheduler.worker.waits import Arrival
from scheduler.worker.worker_dependencies import WorkerDependencies

ACKNOWLEDGE_TIMEOUT = 0.5
"""Seconds at the end for the store to acknowledge published runs."""


async def _ignore_end(ticket: Ticket, end: AlreadyClaimed | Wait | Exception) -> None:
    """Do nothing: the caller waits for the ends."""


class Worker:
    """Implements TicketReceiver."""

    def __init__(self, dependencies: WorkerDependencies) -> None:
        self._dependencies = dependencies
        self.skip_recorder = SkipRecorder(dependencies)
        self._pending = PendingTickets()
        self._batches = TicketBatches(dependencies, self._pending)
        failed_claims = FailedClaims(dependencies.catalog, self.skip_recorder, self._pending, dependencies.clock)
        self._ends = BackgroundEnds(self.publisher, self.skip_recorder, failed_claims, self._pending)
        self._tasks = BackgroundTasks()
        self._is_draining = False
        self._ready_at = datetime.min.replace(tzinfo=UTC)
        """By default from before any ticket: a command runs only what it requests."""

    @property
    def publisher(self) -> RunPublisher:
        """Publishes runs that are recorded and perhaps not published."""
        return self._dependencies.publisher

    @property
    def owner(self) -> str:
        """Identifies the claims of this process."""
        return self._dependencies.leases.owner

    @property
    def in_flight_count(self) -> int:
        """Number of tickets that are submitted and not finished."""
        return len(self._tasks.run_ids)

    def place_usage(self) -> PlacesReport:
        """Return which jobs hold places, and how many runs wait for one."""
        return self._dependencies.semaphore.usage()

    def runner_load(self) -> RunnerLoad:
        """Return how far circuits and the retry budget limit runs of this process."""
        return self._dependencies.runner.read_load()

    def read_starvation(self) -> StarvationReading:
        """Return how much CPU this process lacked so far."""
        return self._dependencies.runner.read_starvation()

    def prepare(self) -> None:
        """Load what the checks of all jobs need, see Runner.prepare."""
        self._dependencies.runner.prepare(entry.job for entry in self._dependencies.catalog)

    def owns(self, run_id: str) -> bool:
        """Return whether the run is submitted or claimed here."""
        return run_id in self._tasks.run_ids or self._dependencies.leases.has(run_id)

    def end_of(self, run_id: str) -> asyncio.Future[None] | None:
        """Return what is done once the run is recorded or not executed here any more; None: it is not here now."""
        return self._dependencies.registry.end_of(run_id) if self.owns(run_id) else None

    def lease_end(self, ticket: Ticket) -> datetime:
        """Return the end of the lease of a claim that this process makes now."""
        entry = self._dependencies.catalog.find_job(ticket.job)
        return self._dependencies.leases.lease_end(ticket, entry.job if entry else None)

    @property
    def backlog(self) -> BacklogState:
        """The results that wait for the store."""
        return self._dependencies.recorder.backlog

    def persisted_until(self, instant: datetime) -> datetime:
        """See PendingTickets.persisted_until."""
        return self._pending.persisted_until(instant)

    async def discard_stale_letter(self, run: Run, letter_id: str = "") -> None:
        """Discard the dead letter of a run that did not fail: an owner that died may have stored it before.

        For runs that are published again. `letter_id`: by default the one that the owners of a run use.
        """
        entry = self._dependencies.catalog.find_job(run.job)
        if not run.outcome.down and (letter_id or (entry is not None and entry.job.dead_letter)):
            await self._dependencies.recorder.discard_dead_letter(letter_id or DeadLetter.id_for_run(run))

    # --- in the background ---

    def trust_claims_while(self, is_trusted: Callable[[], bool]) -> None:
        """See RunLeases.is_trusted."""
        self._dependencies.leases.is_trusted = is_trusted

    def mark_ready(self) -> None:
        """Declare that this process runs tickets from now on: tickets that were due before waited for its start."""
        self._ready_at = self._dependencies.clock.now()

    def _arrival(
        self, *, is_recovered: bool = False, is_queued: bool = False, sent_at: datetime | None = None
    ) -> Arrival:
        clock = self._dependencies.clock
        return Arrival(clock.now(), clock.monotonic(), self._ready_at, is_queued, sent_at, is_recovered)

    def submit(self, *tickets: Ticket, is_recovered: bool = False) -> asyncio.Task[None] | None:
        """Execute the tickets in order, each at its instant. Returns the task.

        `is_recovered`: a process that ended had queued them.

        After `drain` has started it returns None: the next start finds the tickets queued.
        """
        self._mark_submitted(tickets)
        if self._is_draining:
            return None
        arrival = self._arrival(is_recovered=is_recovered)
        return self._start(tickets, self._batches.run_in_order(tickets, self._ends.handle, arrival))

    def submit_batch(self, tickets: Sequence[Ticket], claim_at: datetime | None = None) -> None:
        """Claim the tickets together, now or at `claim_at`, and execute each at its instant."""
        self._mark_submitted(tickets)
        self._start(tickets, self._batches.run(tickets, self._ends.handle, self._arrival(), claim_at))

    def submit_claimed(self, *claims: Claim) -> asyncio.Task[None] | None:
        """Execute tickets that this process has claimed, in order, each at its instant. Returns the task.

        After `drain` has started it returns None: the next start takes the claims over.
        """
        if self._is_draining:
            return None
        self.hold_claims(*(claim for claim in claims if not self._dependencies.leases.has(claim.ticket.id)))
        work = self._batches.run_claimed(claims, self._ends.handle, self._arrival(is_recovered=True))
        return self._start([claim.ticket for claim in claims], work)

    def hold_claims(self, *claims: Claim) -> None:
        """Renew the leases of claims of this process that are submitted later."""
        for claim in claims:
            entry = self._dependencies.catalog.find_job(claim.ticket.job)
            self._dependencies.claimer.hold_claim(claim, entry.job if entry else None)

    def submit_missed(self, missed: MissedSpan) -> None:
        """Record missed instants as one skipped run, in the background."""
        self._pending.add_missed(missed)
        self._tasks.start([missed.ticket], self._ends.record_missed(missed))

    def _mark_submitted(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            self._dependencies.on_submitted(ticket)

    def _start(self, tickets: Sequence[Ticket], work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        self._pending.add(tickets)
        return self._tasks.start(tickets, work)

    @property
    def in_progress(self) -> list[str]:
        """The ids of the runs that are in-flight here."""
        return self._dependencies.registry.in_progress

    async def drain(self, grace: float) -> None:
        """Wait at most `grace` seconds for runs in-flight; the others are cancelled and recorded as cancelled.

        Tickets that wait for a place or a gate are queued again; tickets due later are planned again.
        """
        self._is_draining = True
        self._dependencies.sleep.interrupt()
        await self._tasks.wait(grace)
        self._dependencies.recorder.log_losses()
        await self._tasks.cancel()
        await self.publisher.aclose(ACKNOWLEDGE_TIMEOUT)

    async def wait_until_idle(self) -> None:
        """Wait for all submitted tickets, including those that are due later."""
        await self._tasks.wait_until_idle()
        await self.publisher.aclose()

    def cancel(self, run_id: str, cancelled_by: str) -> bool:
        """Cancel a run; False if it is not in-flight here. `cancelled_by`: the source of the request."""
        return self._dependencies.registry.cancel(run_id, cancelled_by)

    # --- for callers that wait for the end ---

    async def execute(self, ticket: Ticket) -> AlreadyClaimed | Wait | None:
        """Execute a ticket, now or at its instant. See TicketExecutor.execute."""
        ((_, end),) = await self._batches.run([ticket], _ignore_end, self._arrival())
        if isinstance(end, Exception):
            raise end
        return end

    async def execute_batch(self, tickets: Sequence[Ticket], sent_at: datetime | None = None) -> TicketEnds:
        """Execute each ticket of a message at its instant. A failure is returned as the end of its ticket.

        `sent_at`: when the message was sent; None: unknown. See TicketBatches.run.
        """
        return await self._batches.run(tickets, _ignore_end, self._arrival(is_queued=True, sent_at=sent_at))
