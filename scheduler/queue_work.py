"""What the Functions host's queue triggers do: perform a batch, bury what was given up. Called by
scheduler.functions_host.

Every method may be repeated: claims keep a ticket from running twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from jobs.events import RunFinished, RunListener
from jobs.ports import Clock
from jobs.running.verdicts import dead_lettered_run
from jobs.runs import Ticket
from scheduler.catalog import Catalog
from scheduler.dispatch.batches import BadMessage, decode
from scheduler.dispatch.port import Dispatch
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.runs import Held, Runs
from scheduler.worker import LEASE_MARGIN, Worker

_log = logging.getLogger("scheduler.queue_work")

BURIAL_LEASE = timedelta(seconds=60)
SENT_AGAIN_AFTER = timedelta(seconds=LEASE_MARGIN)
"""A ticket that another owner held is sent again for the end of that lease, so it is late by more than this."""
GIVEN_UP = "it was delivered as often as the platform allows and never performed to its end"


class StillHeld(Exception):
    """A ticket to be buried is claimed by an owner whose lease goes on."""


class QueueWork:
    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        worker: Worker,
        dispatch: Dispatch,
        dead_letters: DeadLetters,
        listener: RunListener,
        clock: Clock,
        *,
        owner: str,
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self._worker = worker
        self._dispatch = dispatch
        self._dead_letters = dead_letters
        self._listener = listener
        self._clock = clock
        self._owner = owner

    async def perform_batch(self, body: str | bytes, delivery: int = 1) -> None:
        """Perform each ticket at its instant; of one job, those that are due already one after the other.

        A ticket that another owner holds is sent again for when that lease ends: if the owner died, it is then
        taken over. `delivery`: how often the message was delivered, this time included.

        Raises:
            BadMessage: the body is not a batch.
            StoreError: a ticket could not be claimed or recorded; the whole message comes again.
        """
        batch = decode(body)
        # One ticket's trouble must not stop the others, as a task group would.
        ends = await asyncio.gather(
            *(self._perform_in_turn(turn, delivery) for turn in self._turns(batch.tickets)), return_exceptions=True
        )
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    def _turns(self, tickets: Sequence[Ticket]) -> list[list[Ticket]]:
        """Tickets whose turn comes one after the other: what a job catches up must not overlap itself."""
        now = self._clock.now()
        late: defaultdict[str, list[Ticket]] = defaultdict(list)
        for ticket in tickets:
            if ticket.due_at <= now:
                late[ticket.job].append(ticket)
        return [*late.values(), *([ticket] for ticket in tickets if ticket.due_at > now)]

    async def _perform_in_turn(self, tickets: Sequence[Ticket], delivery: int) -> None:
        for ticket in tickets:
            await self._perform_on_time(ticket, delivery)

    async def _perform_on_time(self, ticket: Ticket, delivery: int) -> None:
        wait = (ticket.due_at - self._clock.now()).total_seconds()
        if wait > 0:
            await self._clock.sleep(wait)
        held = await self._worker.perform(ticket)
        if held is None:
            return
        if held.until is not None:
            await self._dispatch.send([ticket], not_before=held.until)
        elif isinstance(held, Held) and self._may_be_untold(ticket, delivery):
            self._tell(held)

    def _may_be_untold(self, ticket: Ticket, delivery: int) -> bool:
        """Whether the finished run of this ticket may be one of an owner that died before it told anybody.

        The ticket then comes again: in the same message, or in another one once the lease is over.
        """
        return delivery > 1 or self._clock.now() - ticket.due_at > SENT_AGAIN_AFTER

    def _tell(self, held: Held) -> None:
        if held.record.run is not None:
            self._listener.run_finished(RunFinished(held.record.run))

    async def bury(self, body: str | bytes, given_up_at: datetime | None = None) -> None:
        """Keep what was given up: a dead letter, and a failed run for each ticket of the message that is not finished.

        `given_up_at` (now, if it is not known) is part of a dead letter's id: burying again with it adds nothing.

        Raises:
            StillHeld: an owner's lease goes on, who may be alive or not; bury it again later.
            StoreError: bury it again.
        """
        at = given_up_at or self._clock.now()
        try:
            tickets = decode(body).tickets
        except BadMessage as error:
            text = body.decode(errors="replace") if isinstance(body, bytes) else body
            await self._dead_letters.add(DeadLetter.of_message(text, str(error), at))
            _log.error("a message is a dead letter: %s", error)
            return
        held = [ticket.id for ticket in tickets if not await self._bury_ticket(ticket, at)]
        if held:
            raise StillHeld(f"these runs are claimed for some time yet, and are buried after it: {', '.join(held)}")

    async def _bury_ticket(self, ticket: Ticket, at: datetime) -> bool:
        """False if another owner holds it still."""
        now = self._clock.now()
        claim = await self._runs.claim(ticket, self._owner, now + BURIAL_LEASE, now)
        if isinstance(claim, Held):
            # Who finished it may have died before it told anybody, as the message would not have come here otherwise.
            self._tell(claim)
            return claim.until is None
        entry = self._catalog.find(ticket.job)
        job = entry.job if entry else None
        await self._dead_letters.add(DeadLetter.of_ticket(ticket, GIVEN_UP, at, job=job))
        run = dead_lettered_run(ticket, now, GIVEN_UP, job)
        await self._runs.finish(claim, run)
        self._listener.run_finished(RunFinished(run))
        self._listener.dead_lettered(ticket, GIVEN_UP)
        return True
