"""Admits a ticket: gets it a place of the process and asks the gates, and waits for both. Used by performing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from jobs.ports import Clock
from jobs.runs import Ticket
from scheduler.catalog import Catalog, Entry
from scheduler.gates import Gates, Skip, Verdict, Wait
from scheduler.stores.port import StoreError
from scheduler.stores.runs import ClaimLost
from scheduler.work.going import Going
from scheduler.work.places import Place, Places
from scheduler.work.placing import Placing
from scheduler.work.ticket_claim import TicketClaim
from scheduler.work.waiting import Waiting

LEASE_TRIED_AGAIN = timedelta(seconds=1)
"""After which a lease that could not be renewed before the start is tried again."""


class Admission:
    """`hold`: for so long a ticket waits here for a place, and for what a gate names; None: as long as it takes.
    `began` is told when a ticket does not wait for its turn any more."""

    def __init__(
        self,
        catalog: Catalog,
        gates: Gates,
        places: Places,
        going: Going,
        waiting: Waiting,
        clock: Clock,
        *,
        hold: timedelta | None,
        began: Callable[[Ticket], None],
    ) -> None:
        self._catalog = catalog
        self._gates = gates
        self._places = places
        self._placing = Placing(places, going, waiting, clock, hold)
        self._going = going
        self._waiting = waiting
        self._clock = clock
        self._hold = hold
        self._began = began

    async def admit(self, claim: TicketClaim, entry: Entry) -> Place | Skip | Wait | None:
        """Return the place in which the run may begin now, to be given back by `Places.leave`.

        Skip: it is over without having begun. Wait: deliver it again. None: another definition is in force by now.

        Raises:
            ClaimLost: another owner has the run.
        """
        ticket = claim.ticket
        give_up_at: datetime | None = None
        is_first = True
        while True:
            self._waiting.check()
            place = await self._placing.place(ticket, entry.job, is_first=is_first)
            if not isinstance(place, Place):
                return place
            is_first, is_admitted = False, False
            try:
                if self._is_changed(entry):
                    return None
                verdict = await self._ask(claim, entry)
                is_admitted = verdict is None
            finally:
                if not is_admitted:
                    self._places.leave(place)
            if verdict is None:
                return place
            if isinstance(verdict, Skip):
                return verdict
            self._began(ticket)  # from now on it waits for what its definition names, not for its turn
            if self._hold is not None:
                give_up_at = give_up_at or self._clock.now() + self._hold
                if self._clock.now() >= give_up_at:
                    return verdict
            if asked := await self._wait(ticket, verdict, give_up_at):
                return Skip(asked, asked)

    async def _wait(self, ticket: Ticket, verdict: Wait, give_up_at: datetime | None) -> str:
        waiting = self._gates.wait(ticket, verdict, give_up_at)
        return await self._going.wait(ticket.id, self._waiting.for_(waiting))

    def _is_changed(self, entry: Entry) -> bool:
        """Whether its job is another one by now, or gone."""
        found = self._catalog.find(entry.job.name)
        return found is not entry and (found is None or found.job != entry.job)

    async def _ask(self, claim: TicketClaim, entry: Entry) -> Verdict:
        if asked := self._going.begins(claim.ticket.id):
            return Skip(asked, asked)
        verdict = await self._gates.ask(claim.ticket, entry)
        if verdict is None:
            try:
                await claim.cover(entry.job)
            except ClaimLost:
                raise
            except StoreError as error:
                return Wait(self._clock.now() + LEASE_TRIED_AGAIN, f"its lease cannot be renewed: {error}")
        return verdict
