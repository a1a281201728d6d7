"""What the Functions host's queue triggers do: perform a batch, bury what was given up. Called by
scheduler.hosts.functions.

Every method may be repeated: claims keep a ticket from running twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from zlib import crc32

from jobs.ports import Clock
from jobs.running.verdicts import dead_lettered_run
from jobs.runs import Run, Ticket
from scheduler.catalog import Catalog
from scheduler.dispatch.batches import BadMessage, decode
from scheduler.dispatch.port import Dispatch, DispatchError
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.port import StoreError, StoreUnavailable
from scheduler.stores.runs import Held, Runs
from scheduler.work.telling import NotFollowedUp
from scheduler.work.worker import Worker

_log = logging.getLogger("scheduler.queue_work")

BURIAL_LEASE = timedelta(seconds=60)
BURIED_AT_ONCE = 8
"""Tickets of a message, so that it does not show up again while it is being buried: each takes several requests."""
TOGETHER_S = 10.0
"""Seconds: tickets that are sent again for the same slice of time share a message."""
SENT_AGAIN_AFTER = timedelta(seconds=30)
"""A ticket that another owner held is sent again for the end of that lease, so it is late by more than this."""
MANY = 20
"""Tickets of a message that came to their end: from so many on, the others are sent again without them."""
SENT_AGAIN_FOR = timedelta(minutes=5)
"""From the due instant on. What fails for longer fails its whole message, which ends among the dead letters."""
UNCLAIMED_PAUSE = (2.0, 8.0)
"""Seconds after which tickets that were not claimed are sent again, spread: many messages fail together."""
TOO_EARLY = timedelta(minutes=2)
"""A message is visible some seconds before its tickets are due. Earlier than this, the clock of the tick that planned
it was ahead, and nobody is to wait here until then: the platform would give the message up."""
LOOK_AFTER = 15.0
"""Seconds after which the job files are looked at before a batch. (Each tick looks at them.)"""
LOOK_AGAIN_AFTER = 0.0
"""The same if the batch was planned by other ones than this process knows: each time, as a run may depend on it."""
LOOK_PATIENCE, LOOK_AGAIN_PATIENCE = 1.0, 10.0
"""Seconds that a batch waits for such a look: runs are known that are not to be late, or cannot be run without it."""
GIVEN_UP = "it was delivered as often as the platform allows and never performed to its end"


def _by_pause(failures: Sequence[tuple[Ticket, Exception]]) -> Iterator[tuple[list[Ticket], float]]:
    """Tickets that were not claimed, and those that were run, each with the seconds until they are sent again."""
    unclaimed = [ticket for ticket, error in failures if type(error) is StoreUnavailable]
    begun = [ticket for ticket, error in failures if type(error) is not StoreUnavailable]
    if unclaimed:
        yield unclaimed, _pause(unclaimed[0])
    if begun:
        # So late that whoever gets them looks whether their runs were told of.
        yield begun, SENT_AGAIN_AFTER.total_seconds() + _pause(begun[0])


def _pause(ticket: Ticket) -> float:
    """Another one for each ticket, and the same for the same one."""
    shortest, longest = UNCLAIMED_PAUSE
    return shortest + (longest - shortest) * crc32(ticket.id.encode()) / 2**32


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
        clock: Clock,
        *,
        owner: str,
        look: Callable[[float, float], Awaitable[object]] | None = None,
    ) -> None:
        """`look(unless_within, patience)` puts changed job files in force: see Reloading.look_briefly."""
        self._catalog = catalog
        self._runs = runs
        self._worker = worker
        self._dispatch = dispatch
        self._dead_letters = dead_letters
        self._clock = clock
        self._owner = owner
        self._look = look

    async def perform_batch(self, body: str | bytes, delivery: int = 1) -> None:
        """Perform each ticket at its instant.

        A ticket that another owner holds is sent again for when that lease ends: if the owner died, it is then
        taken over. So is one that waits for something for long, or that is due only later. `delivery`: how often the
        message was delivered, this time included.

        Raises:
            BadMessage: the body is not a batch.
            StoreError, DispatchError: a ticket could not be claimed, recorded or followed up; the whole message comes
                again. If many others came to their end, those that did not are sent again by themselves instead.
        """
        failures: list[tuple[Ticket, Exception]] = []
        again: defaultdict[int, list[tuple[datetime, Ticket]]] = defaultdict(list)
        tickets = decode(body).tickets
        if self._look is not None:
            known = self._are_known(tickets)
            await self._look(*((LOOK_AFTER, LOOK_PATIENCE) if known else (LOOK_AGAIN_AFTER, LOOK_AGAIN_PATIENCE)))
        last = self._clock.now() + TOO_EARLY
        if early := [ticket for ticket in tickets if ticket.due_at > last]:
            _log.warning("%d runs are due only later, %s first: sent again for then", len(early), early[0].id)
            await self._dispatch.send(early)
        ends = await self._worker.perform_batch([ticket for ticket in tickets if ticket.due_at <= last])
        for ticket, end in ends:
            if isinstance(end, Exception):
                failures.append((ticket, end))
            elif end is not None and end.until is not None:
                again[int(end.until.timestamp() // TOGETHER_S)].append((end.until, ticket))
            elif isinstance(end, Held) and self._may_be_untold(ticket, delivery):
                untold: list[Exception] = []
                await self._tell_of(ticket, end, untold)
                failures += [(ticket, error) for error in untold]
        if failures and not self._may_send_failed(failures, len(ends)):
            # The others come again with the whole message: sent on their own as well, they would be more each time.
            raise failures[0][1]
        for failed, seconds in _by_pause(failures):
            _log.warning("%d of %d runs are sent again, as the store was away", len(failed), len(ends))
            await self._dispatch.send(failed, not_before=self._clock.now() + timedelta(seconds=seconds))
        for later in again.values():
            await self._dispatch.send([ticket for _, ticket in later], not_before=max(until for until, _ in later))

    def _may_send_failed(self, failures: Sequence[tuple[Ticket, Exception]], performed: int) -> bool:
        """Whether what failed is sent again without the rest of its message, which would be claimed in vain, ticket by
        ticket, from a store that is just coming back.

        Not for ever: the platform counts how often it delivers a message, and gives it up at last.
        """
        oldest = min(ticket.due_at for ticket, _ in failures)
        is_passing = all(isinstance(error, StoreError | DispatchError) for _, error in failures)
        return is_passing and performed - len(failures) >= MANY and self._clock.now() - oldest < SENT_AGAIN_FOR

    def _are_known(self, tickets: Sequence[Ticket]) -> bool:
        """False if another instance has planned some of them, by job files that this one has not read."""
        found = ((ticket, self._catalog.find(ticket.job)) for ticket in tickets)
        return all(entry is not None and entry.generation == ticket.generation for ticket, entry in found)

    def _may_be_untold(self, ticket: Ticket, delivery: int) -> bool:
        """Whether the finished run of this ticket may be one of an owner that died before it told anybody.

        The ticket then comes again: in the same message, or in another one once the lease is over.
        """
        return delivery > 1 or self._clock.now() - ticket.due_at > SENT_AGAIN_AFTER

    async def _tell_of(self, ticket: Ticket, held: Held, failures: list[Exception]) -> None:
        """Tell of a finished run, which is read if only its key is known."""
        run = held.record.run
        if run is None:
            try:
                found = await self._runs.get(ticket.id)
            except StoreError as error:
                failures.append(error)
                return
            run = None if found is None else found.run
        await self._tell(run, failures)

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
        failures: list[Exception] = []
        places = asyncio.Semaphore(BURIED_AT_ONCE)

        async def bury(ticket: Ticket) -> bool:
            async with places:
                return await self._bury_ticket(ticket, at, failures)

        ends = await asyncio.gather(*map(bury, tickets), return_exceptions=True)
        for failure in (*(end for end in ends if isinstance(end, BaseException)), *failures):
            raise failure
        held = [ticket.id for ticket, is_buried in zip(tickets, ends, strict=True) if not is_buried]
        if held:
            raise StillHeld(f"these runs are claimed for some time yet, and are buried after it: {', '.join(held)}")

    async def _bury_ticket(self, ticket: Ticket, at: datetime, failures: list[Exception]) -> bool:
        """False if another owner holds it still."""
        now = self._clock.now()
        claim = await self._runs.claim(ticket, self._owner, now + BURIAL_LEASE, now)
        if isinstance(claim, Held):
            # Who finished it may have died before it told anybody, as the message would not have come here otherwise.
            await self._tell(claim.record.run, failures)
            return claim.until is None
        entry = self._catalog.find(ticket.job)
        job = entry.job if entry else None
        letter = DeadLetter.of_ticket(ticket, GIVEN_UP, at, job=job)
        await self._dead_letters.add(letter)
        run = dead_lettered_run(ticket, now, GIVEN_UP, job)
        await self._runs.finish(claim, run, settled=self._worker.telling.finishes_settled(ticket.job))
        await self._tell(run, failures, letter)
        return True

    async def _tell(self, run: Run | None, failures: list[Exception], letter: DeadLetter | None = None) -> None:
        """A failure stops no other ticket."""
        if run is None:
            return
        try:
            await self._worker.telling.tell(run, letter)
        except NotFollowedUp as error:
            failures.append(error)
