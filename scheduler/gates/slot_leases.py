"""Renews the slots that tickets of this process hold. Called by scheduler.gates.slots and scheduler.gates.remote_runs.

A slot covers the longest time that its run may take, as a claim does, and is renewed meanwhile. So it outlasts the run
even if the store becomes unavailable. The slots of a process that died expire.
"""

from __future__ import annotations

from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from scheduler.catalog.catalog import CatalogJob
from scheduler.leasing import RenewalTimer, lease_duration, required_lease
from scheduler.stores.slots import GroupFull, Slots

SLOT_RENEWAL_INTERVAL = 20.0
"""Seconds between two renewals of all held slots."""


class SlotLeases:
    def __init__(self, slots: Slots, clock: Clock) -> None:
        self._slots = slots
        self._clock = clock
        self._timer = RenewalTimer(SLOT_RENEWAL_INTERVAL, lambda: slots.needs_renewal, lambda: slots.renew(clock.now()))

    async def acquire(self, group: str, limit: int, ticket: Ticket, entry: CatalogJob) -> GroupFull | None:
        """Acquire a slot for the longest time that the run may take; None: acquired. Raises StoreUnavailable.

        If time passes before the run starts, acquire it again.
        """
        run_id, longest = ticket.id, entry.job.timeout.run
        now, lease, needed = self._clock.now(), lease_duration(longest), required_lease(longest)
        full = await self._slots.acquire(
            group, limit, run_id, now + lease, now, now + needed, claimed=_is_claimed_early(ticket, entry)
        )
        if full is not None:
            return full
        self._timer.start()
        # The answer may take so long that the rest of the lease is too short.
        return None if self._clock.now() + needed <= now + lease else GroupFull(())

    async def release(self, group: str, run_id: str) -> None:
        """Release the slot of the run, if it has one. Raises nothing."""
        await self._slots.release(group, run_id)


def _is_claimed_early(ticket: Ticket, entry: CatalogJob) -> bool:
    """Return whether such tickets are claimed before the gates. Others may wait in several processes at the same time,
    because a message may be delivered twice."""
    return ticket.trigger is Trigger.SCHEDULE and entry.job.effect == "repeatable"
