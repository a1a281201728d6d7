"""Performs tickets: claim -> gates -> run -> record -> follow up. Used by both hosts and by the commands that run jobs.

Here is the front door: batches, turns, and what is submitted to be done in the background. What happens to one ticket
is in performing, what happens to a batch in batches.
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
"""Seconds at the end for the store to note that runs are told of."""


async def _ignore_end(ticket: Ticket, end: TicketEnd) -> None:
    """Somebody waits for the ends."""


class Worker:
    """Performs tickets, `concurrency` at a time."""

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
        """`owner` marks this process's claims. `shares`: how many places one job and one host may have. `began` is told
        when a ticket does not wait for its turn any more."""
        leases = RunLeases(runs, clock, owner)
        patience = CLAIM_RETRY_WINDOW if options.retries_claims else timedelta()
        self.publisher = RunPublisher(listener, follow_up or NoFollowUp(), runs, acknowledges=options.acknowledges)
        """For those who find a run that is recorded, and perhaps not told."""
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
        """Marks this process's claims."""
        return self._dependencies.leases.owner

    @property
    def in_flight_count(self) -> int:
        """Tickets that are taken and not finished."""
        return len(self._in_flight)

    def place_usage(self) -> PlacesReport:
        """Return who holds the places, and how many runs wait for one."""
        return self._executor.semaphore.usage()

    def owns(self, run_id: str) -> bool:
        """Whether the run is taken here, or claimed."""
        return run_id in self._in_flight or self._dependencies.leases.has(run_id)

    def lease_end(self, ticket: Ticket) -> datetime:
        """The end of the lease of a claim that is made for this process now."""
        entry = self._dependencies.catalog.find_job(ticket.job)
        return self._dependencies.leases.lease_end(ticket, entry.job if entry else None)

    @property
    def backlog(self) -> BacklogState:
        """The results that wait until the store takes them."""
        return self._dependencies.recorder.backlog

    def persisted_until(self, instant: datetime) -> datetime:
        """See Unstored.until."""
        return self._pending.persisted_until(instant)

    # --- in the background ---

    def submit(self, *tickets: Ticket) -> asyncio.Task[None] | None:
        """Perform the ticket at its instant; several one after the other. Returns the task that does it.

        After `drain` has begun it is left to the next start, which finds it queued: what follows from the last runs.
        """
        if self._is_draining:
            return None
        return self._start(tickets, self._batches.run_in_order(tickets, self._log_end))

    def submit_batch(self, tickets: Sequence[Ticket], claim_at: datetime | None = None) -> None:
        """Claim the tickets together, at once or at an instant before theirs, and perform each at its own."""
        self._start(tickets, self._batches.run(tickets, self._log_end, claim_at))

    def submit_claimed(self, *claims: Claim) -> asyncio.Task[None] | None:
        """Perform a ticket that was claimed for this process already, at its instant; several one after the other.

        Returns the task that does it. After `drain` has begun the claims are left to the next start.
        """
        if self._is_draining:
            return None
        self.hold_claims(*(claim for claim in claims if not self._dependencies.leases.has(claim.ticket.id)))
        return self._start([claim.ticket for claim in claims], self._batches.run_claimed(claims, self._log_end))

    def hold_claims(self, *claims: Claim) -> None:
        """Renew the leases of claims that were made for this process and are submitted later."""
        for claim in claims:
            entry = self._dependencies.catalog.find_job(claim.ticket.job)
            self._dependencies.claimer.hold_claim(claim, entry.job if entry else None)

    def submit_missed(self, missed: MissedSpan) -> None:
        """See LeavingOut.leave_out."""
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
        """The ids of the runs that have begun here and are not over."""
        return self._dependencies.registry.in_progress

    async def drain(self, grace: float) -> None:
        """Wait for what is in work, `grace` seconds at most; the rest is cancelled and recorded as such.

        What waits for a place, or for something that a gate names, is queued again; what is planned for a later instant
        will be planned again.
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
        """Wait for everything that was submitted, also for what is due later."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self.publisher.aclose()

    def cancel(self, run_id: str, cancelled_by: str) -> bool:
        """End a run and record it as cancelled; False if it does not go on here. `asked`: how it was asked for."""
        return self._dependencies.registry.cancel(run_id, cancelled_by)

    # --- for those who wait for the end ---

    async def execute(self, ticket: Ticket) -> AlreadyClaimed | Wait | None:
        """Perform a ticket, now or at its instant. See Performing.perform."""
        ((_, end),) = await self.execute_batch([ticket])
        if isinstance(end, Exception):
            raise end
        return end

    async def execute_batch(self, tickets: Sequence[Ticket]) -> TicketEnds:
        """Perform each ticket at its instant; of one job, those that are due already one after the other: what a job
        catches up must not overlap itself. One's failure stops no other; it is given as its end."""
        return await self._batches.run(tickets, _ignore_end)

    async def record_skipped(self, ticket: Ticket, reason: Reason) -> bool:
        """See LeavingOut.skip."""
        return await self._skip_recorder.record_skipped(ticket, reason)

    async def record_missed(self, missed: MissedSpan) -> None:
        """See LeavingOut.leave_out."""
        await self._skip_recorder.record_missed(missed)

    async def finish_claimed(self, claim: Claim, run: Run) -> bool:
        """See LeavingOut.end."""
        return await self._skip_recorder.finish_claimed(claim, run)

    # --- logging ---

    async def _log_end(self, ticket: Ticket, end: TicketEnd) -> None:
        if isinstance(end, NotRecorded):
            # Nobody delivers this ticket again: what the run found out is told, though it is not kept.
            self.publisher.publish_telemetry(end.run)
            _log.error("run %s is over, but history does not have it: %s", ticket.id, end)
        elif isinstance(end, NotFollowedUp):
            _log.error("%s", end)
        elif isinstance(end, StoreError):
            _log.error("run %s was not started, as the store takes no claim: %s", ticket.id, end)
            self._failed_claims.add(ticket)
        elif isinstance(end, Exception):
            _log.error("run %s broke inside the scheduler", ticket.id, exc_info=end)
        elif end is not None:
            _log.info("run %s is not run again: %s", ticket.id, end)

    async def _record_missed_logged(self, left_out: MissedSpan) -> None:
        try:
            await self.record_missed(left_out)
        except StoreError as error:
            _log.error("run %s was left out, but history does not have it: %s", left_out.ticket.id, error)
        self._pending.remove(left_out.ticket)
