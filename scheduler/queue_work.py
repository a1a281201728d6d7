"""What the Functions host's triggers do: plan ahead, perform a batch, bury what was given up.

Called by scheduler.functions_host, one method a trigger. Every method may be repeated: claims keep a ticket from
running twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from jobs.events import RunFinished, RunListener
from jobs.ports import Clock
from jobs.running.verdicts import dead_lettered_run
from jobs.runs import Ticket
from scheduler.catalog import Catalog
from scheduler.dispatch.batches import BadMessage, decode
from scheduler.dispatch.port import Dispatch
from scheduler.planning.heap import plan
from scheduler.stores.cursors import Cursors
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.runs import Claim, Runs
from scheduler.worker import Worker

_log = logging.getLogger("scheduler.queue_work")

HORIZON = timedelta(seconds=75)
"""How far a tick plans ahead: a little longer than the minute between two ticks."""
STILL_PLANNED = timedelta(seconds=60)
"""A tick that comes late plans back to here at most; what fell due before is not run."""
PLANNED_UNTIL = "planned-until"
"""The name of the cursor that all ticks share."""
BURIAL_LEASE = timedelta(seconds=60)


class QueueWork:
    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        worker: Worker,
        dispatch: Dispatch,
        cursors: Cursors,
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
        self._cursors = cursors
        self._dead_letters = dead_letters
        self._listener = listener
        self._clock = clock
        self._owner = owner

    async def plan_ahead(self) -> int:
        """Put on the queue what falls due until the horizon. Returns the number of tickets.

        The cursor moves after the tickets are sent: a crash in between plans them again, and their ids are the same.

        Raises:
            StoreError, DispatchError: the next tick does what this one did not.
        """
        now = self._clock.now()
        planned = await self._cursors.get(PLANNED_UNTIL)
        after = max(planned or now, now - STILL_PLANNED)
        until = now + HORIZON
        tickets = self._tickets(after, until)
        if tickets:
            await self._dispatch.send(tickets)
        await self._cursors.advance(PLANNED_UNTIL, until)
        _log.debug("planned %d tickets until %s", len(tickets), until.isoformat())
        return len(tickets)

    def _tickets(self, after: datetime, until: datetime) -> list[Ticket]:
        due = plan(self._catalog.schedules(), after, until)
        return [Ticket.scheduled(found.job, found.at, self._catalog.get(found.job).generation) for found in due]

    async def perform_batch(self, body: str | bytes) -> None:
        """Perform each ticket at its instant.

        A ticket that another owner holds is sent again for when that lease ends: if the owner died, it is then
        taken over.

        Raises:
            BadMessage: the body is not a batch.
            StoreError: a ticket could not be claimed or recorded; the whole message comes again.
        """
        batch = decode(body)
        # One ticket's trouble must not stop the others, as a task group would.
        ends = await asyncio.gather(*map(self._perform_on_time, batch.tickets), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _perform_on_time(self, ticket: Ticket) -> None:
        wait = (ticket.due_at - self._clock.now()).total_seconds()
        if wait > 0:
            await self._clock.sleep(wait)
        held = await self._worker.perform(ticket)
        if held is not None and held.until is not None:
            await self._dispatch.send([ticket], not_before=held.until)

    async def bury(self, body: str | bytes) -> None:
        """Keep a message that was given up: a dead letter, and for each of its tickets a failed run."""
        reason = "it was delivered as often as the platform allows and never performed to its end"
        text = body.decode(errors="replace") if isinstance(body, bytes) else body
        tickets: Sequence[Ticket] = ()
        try:
            tickets = decode(text).tickets
        except BadMessage as error:
            reason = str(error)
        now = self._clock.now()
        for ticket in tickets:
            await self._bury_ticket(ticket, reason, now)
        if not tickets:
            await self._dead_letters.add(DeadLetter.of_message(text, reason, now))
        _log.error("%d tickets are dead letters: %s", len(tickets), reason)

    async def _bury_ticket(self, ticket: Ticket, reason: str, now: datetime) -> None:
        await self._dead_letters.add(DeadLetter.of_ticket(ticket, reason, now))
        claim = await self._runs.claim(ticket, self._owner, now + BURIAL_LEASE, now)
        if isinstance(claim, Claim):
            run = dead_lettered_run(ticket, now, reason)
            await self._runs.finish(claim, run)
            self._listener.run_finished(RunFinished(run))
