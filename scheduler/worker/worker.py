"""The entry point of the worker: submits tickets to the background, or waits for their ends.

Called by scheduler.hosts and scheduler.cli. `batches` handles a batch, `execution` one ticket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

from jobs.events import RunListener
from jobs.ports import Clock
from jobs.reasons import Reason
from jobs.running.runner import Runner
from jobs.runs import Run, Ticket
from scheduler.catalog.catalog import Catalog
from scheduler.dependencies.port import FollowUp, NoFollowUp
from scheduler.gates import Gates, Wait
from scheduler.planning.missed_span import MissedSpan
from scheduler.stores.dead_letters.repository import DeadLetters
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import AlreadyClaimed, Claim, Runs
from scheduler.worker.batches import TicketBatches, TicketEnd, TicketEnds
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.claims.claimer import CLAIM_RETRY_WINDOW, TicketClaimer
from scheduler.worker.claims.failed_claims import FailedClaims
from scheduler.worker.claims.leases import RunLeases
from scheduler.worker.claims.pending_tickets import PendingTickets
from scheduler.worker.concurrency.fifo_semaphore import PlacesReport, Shares
from scheduler.worker.execution import TicketExecutor
from scheduler.worker.interruptible_sleep import InterruptibleSleep
from scheduler.worker.options import EMBEDDED_OPTIONS, WorkerOptions
from scheduler.worker.publishing import NotFollowedUp, RunPublisher
from scheduler.worker.results.backlog import BacklogState
from scheduler.worker.results.recorder import NotRecorded, ResultRecorder
from scheduler.worker.skipping import SkipRecorder
from scheduler.worker.worker_dependencies import WorkerDependencies

_log = logging.getLogger("scheduler.worker")

ACKNOWLEDGE_TIMEOUT = 0.5
"""Seconds at the end for the store to acknowledge published runs."""


async def _ignore_end(ticket: Ticket, end: TicketEnd) -> None:
    """Do nothing: the caller waits for the ends."""


class Worker:
    """Executes tickets, `concurrency` at a time."""

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        runner: Runner,
        listener: RunListener,
        clock: Clock,
        *,
        owner: str,
        concurrency: int,
        shares: Shares | None = None,
        registry: RunRegistry,
        gates: Gates,
        dead_letters: DeadLetters,
        follow_up: FollowUp | None = None,
        options: WorkerOptions = EMBEDDED_OPTIONS,
        on_started: Callable[[Ticket], None] = lambda _: None,
    ) -> None:
        """`owner` identifies the claims of this process. `shares`: the parts of all places for one job and one host.

        `on_started` is called once a ticket no longer waits for its turn.
        """
        leases = RunLeases(runs, clock, owner)
        patience = CLAIM_RETRY_WINDOW if options.retries_claims else timedelta()
        self.publisher = RunPublisher(listener, follow_up or NoFollowUp(), runs, acknowledges=options.acknowledges)
        """Publishes runs that are recorded and perhaps not published."""
        self._dependencies = WorkerDependencies(
            catalog=catalog,
            runs=runs,
            runner=runner,
            clock=clock,
            gates=gates,
            registry=registry,
            leases=leases,
            claimer=TicketClaimer(catalog, runs, leases, registry, clock, retry_window=patience),
            recorder=ResultRecorder(
                runs,
                dead_letters,
                clock,
                max_delay=options.result_delay,
                backlog_bytes=options.backlog_bytes,
                backlog_timeout=options.backlog_timeout,
                on_backlogged=self.publisher.publish_telemetry_early,
            ),
            publisher=self.publisher,
            sleep=InterruptibleSleep(clock),
        )
        self._executor = TicketExecutor(
            self._dependencies,
            concurrency=concurrency,
            shares=shares,
            max_wait=options.max_wait,
            is_only_process=options.is_only_process,
            on_started=on_started,
        )
        self._skip_recorder = SkipRecorder(
            catalog, runs, self._dependencies.claimer, self._dependencies.recorder, self.publisher, clock
        )
        self._pending = PendingTickets()
        self._batches = TicketBatches(
            self._executor,
            self._dependencies.claimer,
            self._pending,
            self._dependencies.sleep,
            clock,
            retries_claims=options.retries_claims,
        )
        self._failed_claims = FailedClaims(catalog, self._skip_recorder, self._pending, clock)
        self._is_draining = False
        self._in_flight: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def owner(self) -> str:
        """Identifies the claims of this process."""
        return self._dependencies.leases.owner

    @property
    def in_flight_count(self) -> int:
        """Number of tickets that are submitted and not finished."""
        return len(self._in_flight)

    def place_usage(self) -> PlacesReport:
        """Return which jobs hold places, and how many runs wait for one."""
        return self._executor.semaphore.usage()

    def owns(self, run_id: str) -> bool:
        """Return whether the run is submitted or claimed here."""
        return run_id in self._in_flight or self._dependencies.leases.has(run_id)

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

    # --- in the background ---

    def submit(self, *tickets: Ticket) -> asyncio.Task[None] | None:
        """Execute the tickets in order, each at its instant. Returns the task.

        After `drain` has started it returns None: the next start finds the tickets queued.
        """
        if self._is_draining:
            return None
        return self._start(tickets, self._batches.run_in_order(tickets, self._log_end))

    def submit_batch(self, tickets: Sequence[Ticket], claim_at: datetime | None = None) -> None:
        """Claim the tickets together, now or at `claim_at`, and execute each at its instant."""
        self._start(tickets, self._batches.run(tickets, self._log_end, claim_at))

    def submit_claimed(self, *claims: Claim) -> asyncio.Task[None] | None:
        """Execute tickets that this process has claimed, in order, each at its instant. Returns the task.

        After `drain` has started it returns None: the next start takes the claims over.
        """
        if self._is_draining:
            return None
        self.hold_claims(*(claim for claim in claims if not self._dependencies.leases.has(claim.ticket.id)))
        return self._start([claim.ticket for claim in claims], self._batches.run_claimed(claims, self._log_end))

    def hold_claims(self, *claims: Claim) -> None:
        """Renew the leases of claims of this process that are submitted later."""
        for claim in claims:
            entry = self._dependencies.catalog.find_job(claim.ticket.job)
            self._dependencies.claimer.hold_claim(claim, entry.job if entry else None)

    def submit_missed(self, missed: MissedSpan) -> None:
        """See SkipRecorder.record_missed."""
        self._start([missed.ticket], self._record_missed_logged(missed))

    def _start(self, tickets: Sequence[Ticket], work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        self._pending.add(tickets)
        self._in_flight |= {ticket.id for ticket in tickets}
        task = asyncio.get_running_loop().create_task(self._run_tracked(tickets, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run_tracked(self, tickets: Sequence[Ticket], work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        finally:
            self._in_flight.difference_update([ticket.id for ticket in tickets])

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
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        self._dependencies.recorder.log_losses()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        await self.publisher.aclose(ACKNOWLEDGE_TIMEOUT)

    async def wait_until_idle(self) -> None:
        """Wait for all submitted tickets, including those that are due later."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self.publisher.aclose()

    def cancel(self, run_id: str, cancelled_by: str) -> bool:
        """Cancel a run; False if it is not in-flight here. `cancelled_by`: the source of the request."""
        return self._dependencies.registry.cancel(run_id, cancelled_by)

    # --- for callers that wait for the end ---

    async def execute(self, ticket: Ticket) -> AlreadyClaimed | Wait | None:
        """Execute a ticket, now or at its instant. See TicketExecutor.execute."""
        ((_, end),) = await self.execute_batch([ticket])
        if isinstance(end, Exception):
            raise end
        return end

    async def execute_batch(self, tickets: Sequence[Ticket]) -> TicketEnds:
        """Execute each ticket at its instant. See TicketBatches.run; a failure is returned as the end of its ticket."""
        return await self._batches.run(tickets, _ignore_end)

    async def record_skipped(self, ticket: Ticket, reason: Reason) -> bool:
        """See SkipRecorder.record_skipped."""
        return await self._skip_recorder.record_skipped(ticket, reason)

    async def record_missed(self, missed: MissedSpan) -> None:
        """See SkipRecorder.record_missed."""
        await self._skip_recorder.record_missed(missed)

    async def finish_claimed(self, claim: Claim, run: Run) -> bool:
        """See SkipRecorder.finish_claimed."""
        return await self._skip_recorder.finish_claimed(claim, run)

    # --- logging ---

    async def _log_end(self, ticket: Ticket, end: TicketEnd) -> None:
        if isinstance(end, NotRecorded):
            # No queue delivers this ticket again: the result is published, although it is not stored.
            self.publisher.publish_telemetry(end.run)
            _log.error("could not record run %s: %s; its result is lost", ticket.id, end)
        elif isinstance(end, NotFollowedUp):
            _log.error("%s", end)
        elif isinstance(end, StoreError):
            _log.error("could not claim run %s: %s; it is recorded as skipped once the store is back", ticket.id, end)
            self._failed_claims.add(ticket)
        elif isinstance(end, Exception):
            _log.error("run %s failed inside the scheduler", ticket.id, exc_info=end)
        elif end is not None:
            _log.info("run %s is not executed: %s", ticket.id, end)

    async def _record_missed_logged(self, left_out: MissedSpan) -> None:
        try:
            await self.record_missed(left_out)
        except StoreError as error:
            _log.error("could not record the skipped run %s: %s; it is lost", left_out.ticket.id, error)
        self._pending.remove(left_out.ticket)
