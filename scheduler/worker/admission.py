"""Admits a ticket: acquires a place of the process, checks the gates, and waits for both.

Called by scheduler.worker.execution.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from jobs.runs import Ticket
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates import GateVerdict, Skip, Wait
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import ClaimLost
from scheduler.worker.claims.ticket_claim import TicketClaim
from scheduler.worker.concurrency.place_assignment import PlaceAssigner
from scheduler.worker.concurrency.places import HeldPlace
from scheduler.worker.worker_dependencies import WorkerDependencies

LEASE_RETRY_AFTER = timedelta(seconds=1)
"""After which the renewal of a lease that failed before the start is tried again."""


class TicketAdmission:
    """Lets tickets start, each in a place of the process."""

    def __init__(self, dependencies: WorkerDependencies) -> None:
        self._catalog, self._gates = dependencies.catalog, dependencies.gates
        self._registry, self._sleep = dependencies.registry, dependencies.sleep
        self._clock = dependencies.clock
        self._semaphore, self._on_started = dependencies.semaphore, dependencies.on_started
        max_wait = dependencies.options.max_wait
        self._max_wait = None if max_wait is None else timedelta(seconds=max_wait)
        self._place_assigner = PlaceAssigner(
            self._semaphore, self._registry, self._sleep, self._clock, self._max_wait, dependencies.gates.on_waited
        )

    async def admit(self, claim: TicketClaim, entry: CatalogJob) -> HeldPlace | Skip | Wait | None:
        """Return the place in which the run may start now; the caller releases it.

        Skip: the run ends without having started. Wait: deliver the ticket again. None: the job's definition was
        replaced meanwhile.

        Raises:
            ClaimLost: another owner has the run.
        """
        ticket = claim.ticket
        give_up_at: datetime | None = None
        is_first = True
        while True:
            self._sleep.raise_if_interrupted()
            place = await self._place_assigner.acquire_place(ticket, entry.job, is_first=is_first)
            if not isinstance(place, HeldPlace):
                return place
            is_first, is_admitted = False, False
            try:
                if self._is_replaced(entry):
                    return None
                verdict = await self._check_gates(claim, entry)
                is_admitted = verdict is None
            finally:
                if not is_admitted:
                    self._semaphore.release(place)
            if verdict is None:
                return place
            if isinstance(verdict, Skip):
                return verdict
            self._on_started(ticket)  # from now on the ticket waits for a condition of its job, not for its turn
            if self._max_wait is not None:
                give_up_at = give_up_at or self._clock.now() + self._max_wait
                if self._clock.now() >= give_up_at:
                    return verdict
            if cancelled_by := await self._wait(ticket, verdict, give_up_at):
                return Skip(Reason(ReasonCode.CANCELLED, cancelled_by), cancelled_by)

    async def _wait(self, ticket: Ticket, verdict: Wait, give_up_at: datetime | None) -> str:
        waiting = self._gates.wait(ticket, verdict, give_up_at)
        return await self._registry.wait_for(ticket.id, self._sleep.wait_for(waiting))

    def _is_replaced(self, entry: CatalogJob) -> bool:
        """Return whether the job was changed or removed meanwhile."""
        found = self._catalog.find_job(entry.job.name)
        return found is not entry and (found is None or found.job != entry.job)

    async def _check_gates(self, claim: TicketClaim, entry: CatalogJob) -> GateVerdict:
        if cancelled_by := self._registry.pop_cancellation(claim.ticket.id):
            return Skip(Reason(ReasonCode.CANCELLED, cancelled_by), cancelled_by)
        verdict = await self._gates.check(claim.ticket, entry)
        if verdict is None:
            try:
                await claim.ensure_covers_run(entry.job)
            except ClaimLost:
                raise
            except StoreError as error:
                reason = Reason(ReasonCode.STORE_UNAVAILABLE, f"the lease cannot be renewed: {error}")
                return Wait(self._clock.now() + LEASE_RETRY_AFTER, reason)
        return verdict
