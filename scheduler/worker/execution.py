"""Executes one ticket from its instant to its end: admit -> claim -> run -> finish.

Called by scheduler.worker.batches. A run is recorded before it is published: a crash may repeat a step, but omits none.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

from jobs.checks.clock import SendPermission
from jobs.errors import LeaseEnded
from jobs.runs import Ticket
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates import Skip, Wait
from scheduler.leasing import MIN_LEASE_S
from scheduler.stores.runs.repository import AlreadyClaimed, Claim, ClaimLost
from scheduler.worker.admission import TicketAdmission
from scheduler.worker.claims.ticket_claim import TicketClaim
from scheduler.worker.concurrency.places import HeldPlace
from scheduler.worker.finishing import ResultFinisher
from scheduler.worker.results.ticket_result import TicketResult
from scheduler.worker.worker_dependencies import WorkerDependencies

_log = logging.getLogger("scheduler.worker")

REPLAY_RETRY_AFTER = timedelta(seconds=5)
"""After which a replay is delivered again because another replay of its job is in-flight."""
DUPLICATE_RETRY_AFTER = timedelta(seconds=MIN_LEASE_S)
"""After which a ticket that is in-flight here is delivered again: by then its run is published, or its process died."""


class TicketExecutor:
    def __init__(self, dependencies: WorkerDependencies) -> None:
        self._dependencies = dependencies
        self._admission = TicketAdmission(dependencies)
        self._finisher = ResultFinisher(dependencies)
        self._in_flight: set[str] = set()
        """Ids of runs that are executed here: a queue may deliver a message twice at the same time."""
        self._replay_locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def execute(self, ticket: Ticket, claim: Claim | None) -> AlreadyClaimed | Wait | None:
        """Execute a ticket whose instant has come. `claim` None: the ticket is claimed once it may start.

        Returns AlreadyClaimed if the run is finished or has another owner. Returns Wait if the ticket has to wait for
        longer than `max_wait`: it is released, and must be executed again at `retry_at`.

        Raises:
            NotRecorded: the run finished, but could not be recorded; deliver the ticket again.
            StoreError, DispatchError: claim or follow-up failed; deliver the ticket again.
        """
        if ticket.id in self._in_flight:
            # Gates and slots identify a run by its id, so a run waits for them only once at a time. A claim that was
            # made here after the lease of that execution had ended is its claim from now on.
            reason = Reason(ReasonCode.IN_PROGRESS, "it is in-flight in this process already")
            return Wait(self._dependencies.clock.now() + DUPLICATE_RETRY_AFTER, reason)
        self._in_flight.add(ticket.id)
        mine = TicketClaim(ticket, claim, self._dependencies.claimer, self._dependencies.leases)
        try:
            if not ticket.trigger.is_rerun:
                return await self._execute(mine)
            # Replays of a job run in order, so that only one of them checks whether the job is free.
            turn = self._replay_locks[ticket.job]
            if turn.locked() and self._dependencies.options.max_wait is not None:
                reason = Reason(ReasonCode.IN_PROGRESS, "another replay of its job is in-flight")
                return Wait(self._dependencies.clock.now() + REPLAY_RETRY_AFTER, reason)
            async with turn:
                return await self._execute(mine)
        finally:
            self._in_flight.discard(ticket.id)
            self._dependencies.on_started(ticket)
            await mine.release()
            self._dependencies.registry.mark_ended(ticket.id)

    async def _execute(self, mine: TicketClaim) -> AlreadyClaimed | Wait | None:
        entry, result = await self._execute_by_current_definition(mine)
        if result.run is not None:
            return await self._finisher.finish(mine, entry, result.run, result.letter)
        return result.not_run

    async def _execute_by_current_definition(self, mine: TicketClaim) -> tuple[CatalogJob | None, TicketResult]:
        """Execute the ticket by the job's current definition; start anew if it is replaced before the run starts."""
        while True:
            entry = self._dependencies.catalog.find_job(mine.ticket.job)
            if entry is None:
                gone = Skip(Reason(ReasonCode.JOB_REMOVED, "the job was removed"))
                return None, TicketResult.denied(mine.ticket, None, self._dependencies.clock, gone)
            try:
                result = await self._execute_by(mine, entry)
            except ClaimLost as error:
                mine.mark_used()
                _log.warning("could not start run %s: %s; another process took it over", mine.ticket.id, error)
                result = TicketResult()
            finally:
                await self._dependencies.gates.release(mine.ticket, entry)
            if result is not None:
                return entry, result

    async def _execute_by(self, mine: TicketClaim, entry: CatalogJob) -> TicketResult | None:
        """Return the result; None: the definition was replaced before the run started, or the lease ended."""
        clock = self._dependencies.clock
        if mine.must_not_run(entry.job):
            return TicketResult.interrupted(mine.ticket, entry.job, clock)
        place = await self._admission.admit(mine, entry)
        if not isinstance(place, HeldPlace):
            return None if place is None else TicketResult.denied(mine.ticket, entry.job, clock, place)
        self._dependencies.on_started(mine.ticket)
        try:
            if (held := await mine.ensure()) is not None:
                return TicketResult(not_run=held)
            if mine.must_not_run(entry.job):
                return TicketResult.interrupted(mine.ticket, entry.job, clock)
            self._dependencies.sleep.raise_if_interrupted()
            return await self._run(mine, entry)
        finally:
            self._dependencies.semaphore.release(place)

    async def _run(self, mine: TicketClaim, entry: CatalogJob) -> TicketResult | None:
        """Run the job by one definition, which the run records as its own, whichever it was planned for.

        None: this process stalled until the lease ended, before it sent the next request. The caller starts anew, which
        renews the lease or finds that another process took the run over.
        """
        mine.mark_used()
        ticket = mine.ticket
        if ticket.generation != entry.generation:
            ticket = replace(ticket, generation=entry.generation)
        permission = SendPermission(mine.may_send)
        execution = self._dependencies.runner.start(entry.job, ticket, permission)
        try:
            run = await self._dependencies.registry.run_until_done(ticket, execution)
        except LeaseEnded:
            if permission.has_sent and entry.job.effect == "once":
                return TicketResult.interrupted(ticket, entry.job, self._dependencies.clock)
            mine.mark_unused()
            _log.warning("could not send a request of run %s: its lease has ended; the run starts anew", ticket.id)
            return None
        return TicketResult.executed(run, ticket, entry.job, execution.traceback)
