"""The gate of pauses: skips scheduled and dependent runs of paused jobs. Built by scheduler.gates."""

from __future__ import annotations

from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates.port import GateVerdict, Skip
from scheduler.stores.gates import Pauses


class PauseGate:
    def __init__(self, pauses: Pauses, clock: Clock) -> None:
        self._pauses = pauses
        self._clock = clock

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        # A manual run is executed even if the job is paused, so the store is not read.
        return ticket.trigger is not Trigger.MANUAL and not ticket.trigger.is_rerun

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        pause = (await self._pauses.list_active(self._clock.now())).get(ticket.job)
        return None if pause is None else Skip(Reason(ReasonCode.JOB_PAUSED, f"the job is {pause}"))

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        """Nothing to release."""
