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

from jobs.runs import Ticket
from scheduler.catalog import Entry
from scheduler.gates import Skip, Wait
from scheduler.leasing import MIN_LEASE_S
from scheduler.stores.runs import Claim, ClaimLost, Held
from scheduler.work.admission import Admission
from scheduler.work.finishing import Finishing
from scheduler.work.parts import Parts
from scheduler.work.places import Place, Places, Shares
from scheduler.work.ticket_claim import TicketClaim
from scheduler.work.ticket_result import TicketResult

_log = logging.getLogger("scheduler.worker")

TURN_AFTER = timedelta(seconds=5)
"""After which a replay that found another one of its job is performed again, where it does not wait here."""
HERE_AGAIN = timedelta(seconds=MIN_LEASE_S)
"""After which a ticket that is here already is performed again: so late that its run is either recorded and published
by then, or this process has died."""


class Performing:
    """`concurrency`: how many runs go on at once; `shares`: how many of those one job and one host may have. `hold`:
    seconds for which a ticket waits here for a place, and for what a gate names; None: as long as it takes. `alone`: no
    other process looks at the store to see whether a run goes on. `began` is told when a ticket does not wait for its
    turn any more."""

    def __init__(
        self,
        parts: Parts,
        *,
        concurrency: int,
        shares: Shares | None = None,
        hold: float | None,
        alone: bool,
        began: Callable[[Ticket], None] = lambda _: None,
    ) -> None:
        self._parts = parts
        self.places = Places(concurrency, shares, parts.clock.monotonic)
        self._hold = None if hold is None else timedelta(seconds=hold)
        self._admission = Admission(
            parts.catalog,
            parts.gates,
            self.places,
            parts.going,
            parts.waiting,
            parts.clock,
            hold=self._hold,
            began=began,
        )
        self._finishing = Finishing(parts, alone=alone)
        self._began = began
        self._here: set[str] = set()
        """Runs that are being performed: a message may be delivered here while it is here already."""
        self._replays: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def perform(self, ticket: Ticket, claim: Claim | None) -> Held | Wait | None:
        """Perform a ticket whose instant has come to its end. `claim` None: it is claimed once it may start.

        Returns Held if it is not ours: done already, or another owner is at it; Wait if it waits for something for
        longer than `hold`: it is given back, and to be performed again at `until`.

        Raises:
            NotRecorded: it was run, and could not be recorded; deliver it again.
            StoreError, DispatchError: it could not be claimed or followed up; deliver it again.
        """
        if ticket.id in self._here and claim is None:
            # What gates and slots know of a run they know by its id, so it waits for them once at a time.
            return Wait(self._parts.clock.now() + HERE_AGAIN, "it is being performed in this process already")
        self._here.add(ticket.id)
        mine = TicketClaim(ticket, claim, self._parts.claiming, self._parts.leases)
        try:
            if not ticket.trigger.is_rerun:
                return await self._perform(mine)
            # Replays of a job take their turn, so that only one of them looks for when the job is free.
            turn = self._replays[ticket.job]
            if turn.locked() and self._hold is not None:
                return Wait(self._parts.clock.now() + TURN_AFTER, "another replay of its job goes on")
            async with turn:
                return await self._perform(mine)
        finally:
            self._here.discard(ticket.id)
            self._began(ticket)
            mine.forget()

    async def _perform(self, mine: TicketClaim) -> Held | Wait | None:
        try:
            entry, result = await self._to_a_result(mine)
            if result.run is not None:
                return await self._finishing.finish(mine, entry, result.run, result.letter)
            return result.not_run
        finally:
            await mine.release()

    async def _to_a_result(self, mine: TicketClaim) -> tuple[Entry | None, TicketResult]:
        """Try by the definition in force, until none has replaced it before the run begins."""
        while True:
            entry = self._parts.catalog.find(mine.ticket.job)
            if entry is None:
                gone = Skip("there is no job of that name any more")
                return None, TicketResult.denied(mine.ticket, None, self._parts.clock, gone)
            try:
                result = await self._try(mine, entry)
            except ClaimLost as error:
                mine.use()
                _log.warning("run %s waited so long that it was taken over: %s", mine.ticket.id, error)
                result = TicketResult()
            finally:
                await self._parts.gates.leave(mine.ticket, entry)
            if result is not None:
                return entry, result

    async def _try(self, mine: TicketClaim, entry: Entry) -> TicketResult | None:
        """None: another definition is in force by now, and the run has not begun."""
        clock = self._parts.clock
        if mine.must_not_run(entry.job):
            return TicketResult.interrupted(mine.ticket, entry.job, clock)
        place = await self._admission.admit(mine, entry)
        if not isinstance(place, Place):
            return None if place is None else TicketResult.denied(mine.ticket, entry.job, clock, place)
        self._began(mine.ticket)
        try:
            if (held := await mine.ensure()) is not None:
                return TicketResult(not_run=held)
            if mine.must_not_run(entry.job):
                return TicketResult.interrupted(mine.ticket, entry.job, clock)
            self._parts.waiting.check()
            return await self._run(mine, entry)
        finally:
            self.places.leave(place)

    async def _run(self, mine: TicketClaim, entry: Entry) -> TicketResult:
        """By one definition to the end, which the run names as its own, whichever it was planned for."""
        mine.use()
        ticket = mine.ticket
        if ticket.generation != entry.generation:
            ticket = replace(ticket, generation=entry.generation)
        execution = self._parts.runner.start(entry.job, ticket)
        run = await self._parts.going.to_its_end(ticket, execution)
        return TicketResult.executed(run, ticket, entry.job, execution.traceback)
