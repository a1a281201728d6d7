"""One ticket, from its instant to its end: admit -> claim -> run -> finish. Used by batches.

A step after the claim may be repeated after a crash: the run is recorded before it is published.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from jobs.reasons import Reason, ReasonCode
from jobs.runs import Ticket
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates import Skip, Wait
from scheduler.leasing import MIN_LEASE_S
from scheduler.stores.runs.repository import AlreadyClaimed, Claim, ClaimLost
from scheduler.worker.admission import TicketAdmission
from scheduler.worker.claims.ticket_claim import TicketClaim
from scheduler.worker.concurrency.fifo_semaphore import FifoSemaphore, HeldPlace, Shares
from scheduler.worker.finishing import ResultFinisher
from scheduler.worker.ticket_result import TicketResult
from scheduler.worker.worker_dependencies import WorkerDependencies

_log = logging.getLogger("scheduler.worker")

REPLAY_RETRY_AFTER = timedelta(seconds=5)
"""After which a replay that found another one of its job is performed again, where it does not wait here."""
DUPLICATE_RETRY_AFTER = timedelta(seconds=MIN_LEASE_S)
"""After which a ticket that is here already is performed again: so late that its run is either recorded and published
by then, or this process has died."""


class TicketExecutor:
    """`concurrency`: how many runs go on at once; `shares`: how many of those one job and one host may have. `hold`:
    seconds for which a ticket waits here for a place, and for what a gate names; None: as long as it takes. `alone`: no
    other process looks at the store to see whether a run goes on. `began` is told when a ticket does not wait for its
    turn any more."""

    def __init__(
        self,
        dependencies: WorkerDependencies,
        *,
        concurrency: int,
        shares: Shares | None = None,
        max_wait: float | None,
        is_only_process: bool,
        on_started: Callable[[Ticket], None] = lambda _: None,
    ) -> None:
        self._dependencies = dependencies
        self.semaphore = FifoSemaphore(concurrency, shares, dependencies.clock.monotonic)
        self._max_wait = None if max_wait is None else timedelta(seconds=max_wait)
        self._admission = TicketAdmission(
            dependencies.catalog,
            dependencies.gates,
            self.semaphore,
            dependencies.registry,
            dependencies.sleep,
            dependencies.clock,
            max_wait=self._max_wait,
            on_started=on_started,
        )
        self._finisher = ResultFinisher(dependencies, is_only_process=is_only_process)
        self._on_started = on_started
        self._in_flight: set[str] = set()
        """Runs that are being performed: a message may be delivered here while it is here already."""
        self._replay_locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def execute(self, ticket: Ticket, claim: Claim | None) -> AlreadyClaimed | Wait | None:
        """Perform a ticket whose instant has come to its end. `claim` None: it is claimed once it may start.

        Returns Held if it is not ours: done already, or another owner is at it; Wait if it waits for something for
        longer than `hold`: it is given back, and to be performed again at `until`.

        Raises:
            NotRecorded: it was run, and could not be recorded; deliver it again.
            StoreError, DispatchError: it could not be claimed or followed up; deliver it again.
        """
        if ticket.id in self._in_flight and claim is None:
            # What gates and slots know of a run they know by its id, so it waits for them once at a time.
            reason = Reason(ReasonCode.IN_PROGRESS, "it is being performed in this process already")
            return Wait(self._dependencies.clock.now() + DUPLICATE_RETRY_AFTER, reason)
        self._in_flight.add(ticket.id)
        mine = TicketClaim(ticket, claim, self._dependencies.claimer, self._dependencies.leases)
        try:
            if not ticket.trigger.is_rerun:
                return await self._execute(mine)
            # Replays of a job take their turn, so that only one of them looks for when the job is free.
            turn = self._replay_locks[ticket.job]
            if turn.locked() and self._max_wait is not None:
                reason = Reason(ReasonCode.IN_PROGRESS, "another replay of its job goes on")
                return Wait(self._dependencies.clock.now() + REPLAY_RETRY_AFTER, reason)
            async with turn:
                return await self._execute(mine)
        finally:
            self._in_flight.discard(ticket.id)
            self._on_started(ticket)
            mine.forget()

    async def _execute(self, mine: TicketClaim) -> AlreadyClaimed | Wait | None:
        try:
            entry, result = await self._execute_by_current_definition(mine)
            if result.run is not None:
                return await self._finisher.finish(mine, entry, result.run, result.letter)
            return result.not_run
        finally:
            await mine.release()

    async def _execute_by_current_definition(self, mine: TicketClaim) -> tuple[CatalogJob | None, TicketResult]:
        """Try by the definition in force, until none has replaced it before the run begins."""
        while True:
            entry = self._dependencies.catalog.find_job(mine.ticket.job)
            if entry is None:
                gone = Skip(Reason(ReasonCode.JOB_REMOVED, "there is no job of that name any more"))
                return None, TicketResult.denied(mine.ticket, None, self._dependencies.clock, gone)
            try:
                result = await self._execute_by(mine, entry)
            except ClaimLost as error:
                mine.mark_used()
                _log.warning("run %s waited so long that it was taken over: %s", mine.ticket.id, error)
                result = TicketResult()
            finally:
                await self._dependencies.gates.release(mine.ticket, entry)
            if result is not None:
                return entry, result

    async def _execute_by(self, mine: TicketClaim, entry: CatalogJob) -> TicketResult | None:
        """None: another definition is in force by now, and the run has not begun."""
        clock = self._dependencies.clock
        if mine.must_not_run(entry.job):
            return TicketResult.interrupted(mine.ticket, entry.job, clock)
        place = await self._admission.admit(mine, entry)
        if not isinstance(place, HeldPlace):
            return None if place is None else TicketResult.denied(mine.ticket, entry.job, clock, place)
        self._on_started(mine.ticket)
        try:
            if (held := await mine.ensure()) is not None:
                return TicketResult(not_run=held)
            if mine.must_not_run(entry.job):
                return TicketResult.interrupted(mine.ticket, entry.job, clock)
            self._dependencies.sleep.raise_if_interrupted()
            return await self._run(mine, entry)
        finally:
            self.semaphore.release(place)

    async def _run(self, mine: TicketClaim, entry: CatalogJob) -> TicketResult:
        """By one definition to the end, which the run names as its own, whichever it was planned for."""
        mine.mark_used()
        ticket = mine.ticket
        if ticket.generation != entry.generation:
            ticket = replace(ticket, generation=entry.generation)
        execution = self._dependencies.runner.start(entry.job, ticket)
        run = await self._dependencies.registry.run_until_done(ticket, execution)
        return TicketResult.executed(run, ticket, entry.job, execution.traceback)
