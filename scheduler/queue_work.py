"""What the Functions host's triggers do: plan ahead and tidy up, perform a batch, bury what was given up.

Called by scheduler.functions_host. Every method may be repeated: claims keep a ticket from
running twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from jobs.events import RunFinished, RunListener
from jobs.ports import Clock
from jobs.running.verdicts import dead_lettered_run
from jobs.runs import Ticket
from scheduler.catalog import Catalog
from scheduler.dispatch.batches import BadMessage, decode
from scheduler.dispatch.port import Dispatch
from scheduler.planning.heap import DueHeap
from scheduler.planning.ticks import Tick, tick_of
from scheduler.stores.cursors import PLANNED_UNTIL, Cursors
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.pauses import Pauses
from scheduler.stores.runs import Held, Runs, RunState
from scheduler.stores.schedule_marks import ScheduleMarks
from scheduler.worker import LEASE_MARGIN, Worker

_log = logging.getLogger("scheduler.queue_work")

HORIZON = timedelta(seconds=75)
"""How far a tick plans ahead: a little longer than the minute between two ticks."""
STILL_PLANNED = timedelta(seconds=60)
"""What a tick that comes late still plans; what fell due before is missed: see scheduler.planning.catch_up."""
STRANDED_AFTER = timedelta(minutes=2)
"""A run that people asked for and that is still queued after this time may have no message."""
STRANDED_UNTIL = "stranded-until"
"""The name of the cursor of those that were looked at."""
PRUNE_EVERY = timedelta(hours=1)
PRUNED_AT = "pruned-at"
PRUNE_PATIENCE = 20.0
"""Seconds that one tick spends on old runs: the next one must not wait for it."""
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
        cursors: Cursors,
        marks: ScheduleMarks,
        pauses: Pauses,
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
        self._marks = marks
        self._pauses = pauses
        self._in_force_since: Mapping[str, datetime] | None = None
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
        until = now + HORIZON
        tick = await self._tick(now, until)
        tickets = [*tick.on_time, *(ticket for late in tick.late for ticket in late)]
        if tickets:
            await self._dispatch.send(tickets)
        for left_out in tick.left_out:
            await self._worker.leave_out(left_out)
        await self._cursors.advance(PLANNED_UNTIL, until)
        _log.debug("planned %d tickets until %s", len(tickets), until.isoformat())
        return len(tickets)

    async def _tick(self, now: datetime, until: datetime) -> Tick:
        """What falls due until `until`, from where the last tick ended."""
        if self._in_force_since is None:
            # Once a process: definitions come with a deployment.
            self._in_force_since = await self._marks.note(self._catalog.schedules(), now)
        planned = await self._cursors.get(PLANNED_UNTIL)
        not_before = now - STILL_PLANNED
        # No tick has come to its end yet: what fell due since the first one began counts as missed.
        planned = planned or min(self._in_force_since.values(), default=now)
        heap = DueHeap(self._catalog.schedules(), planned, self._in_force_since)
        return tick_of(
            self._catalog,
            heap.pop_until(until, not_before=not_before),
            not_before=not_before,
            now=now,
            paused=await self._pauses.active(now, fresh=True),
        )

    async def planned_until(self) -> datetime | None:
        """The end of the last tick's horizon; None before the first one. Raises StoreError."""
        return await self._cursors.get(PLANNED_UNTIL)

    async def send_stranded(self) -> int:
        """Send runs that were stored as queued and perhaps never sent: the queue was away, or the process died.

        Each is sent again once, so a queue that is only long does not grow by it. Returns the number of tickets.

        Raises:
            StoreError, DispatchError: the next tick does it.
        """
        until = self._clock.now() - STRANDED_AFTER
        since = await self._cursors.get(STRANDED_UNTIL)
        queued = (record.ticket for record in await self._runs.unfinished() if record.state is RunState.QUEUED)
        stranded = [ticket for ticket in queued if (since is None or since < ticket.due_at) and ticket.due_at <= until]
        if stranded:
            await self._dispatch.send(stranded)
            _log.warning("%d runs were still queued after %s: sent again", len(stranded), STRANDED_AFTER)
        await self._cursors.advance(STRANDED_UNTIL, until)
        return len(stranded)

    async def prune(self, age_s: float, runs_per_job: int) -> None:
        """Delete old runs and dead letters, each hour. Raises StoreError."""
        now = self._clock.now()
        last = await self._cursors.get(PRUNED_AT)
        if last is not None and now - last < PRUNE_EVERY:
            return
        try:
            async with asyncio.timeout(PRUNE_PATIENCE):
                removed = await self._runs.prune(now, age_s, runs_per_job)
                removed += await self._dead_letters.prune(now, age_s)
        except TimeoutError:
            _log.info("there are more old runs than %g s remove: the next tick goes on", PRUNE_PATIENCE)
            return
        if removed:
            _log.info("removed %d old runs and dead letters", removed)
        await self._cursors.advance(PRUNED_AT, now)

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
