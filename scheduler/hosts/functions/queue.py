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
from jobs.running.run_factories import dead_lettered_run
from jobs.runs import Run, Ticket
from scheduler.catalog.catalog import Catalog
from scheduler.dispatch.batches import InvalidBatchMessage, decode_batch
from scheduler.dispatch.port import Dispatch, DispatchError
from scheduler.stores.dead_letters.letter import DeadLetter
from scheduler.stores.dead_letters.repository import DeadLetters
from scheduler.stores.port import StoreError, StoreUnavailable
from scheduler.stores.runs.repository import AlreadyClaimed, Runs
from scheduler.worker.publishing import NotFollowedUp
from scheduler.worker.worker import Worker

_log = logging.getLogger("scheduler.hosts.functions.queue")

DEAD_LETTER_LEASE = timedelta(seconds=60)
DEAD_LETTER_CONCURRENCY = 8
"""Tickets of a message, so that it does not show up again while it is being buried: each takes several requests."""
RESEND_SLICE = 10.0
"""Seconds: tickets that are sent again for the same slice of time share a message."""
LEASE_RESEND_DELAY = timedelta(seconds=30)
"""A ticket that another owner held is sent again for the end of that lease, so it is late by more than this."""
MIN_FINISHED_FOR_RESEND = 20
"""Tickets of a message that came to their end: from so many on, the others are sent again without them."""
RESEND_WINDOW = timedelta(minutes=5)
"""From the due instant on. What fails for longer fails its whole message, which ends among the dead letters."""
UNCLAIMED_RESEND_DELAY = (2.0, 8.0)
"""Seconds after which tickets that were not claimed are sent again, spread: many messages fail together."""
MAX_EARLINESS = timedelta(minutes=2)
"""A message is visible some seconds before its tickets are due. Earlier than this, the clock of the tick that planned
it was ahead, and nobody is to wait here until then: the platform would give the message up."""
RELOAD_INTERVAL = 15.0
"""Seconds after which the job files are looked at before a batch. (Each tick looks at them.)"""
UNKNOWN_JOB_RELOAD_INTERVAL = 0.0
"""The same if the batch was planned by other ones than this process knows: each time, as a run may depend on it."""
RELOAD_TIMEOUT, UNKNOWN_JOB_RELOAD_TIMEOUT = 1.0, 10.0
"""Seconds that a batch waits for such a look: runs are known that are not to be late, or cannot be run without it."""
DEAD_LETTER_REASON = "it was delivered as often as the platform allows and never performed to its end"


def _group_by_delay(failures: Sequence[tuple[Ticket, Exception]]) -> Iterator[tuple[list[Ticket], float]]:
    """Tickets that were not claimed, and those that were run, each with the seconds until they are sent again."""
    unclaimed = [ticket for ticket, error in failures if type(error) is StoreUnavailable]
    begun = [ticket for ticket, error in failures if type(error) is not StoreUnavailable]
    if unclaimed:
        yield unclaimed, _resend_delay(unclaimed[0])
    if begun:
        # So late that whoever gets them looks whether their runs were told of.
        yield begun, LEASE_RESEND_DELAY.total_seconds() + _resend_delay(begun[0])


def _resend_delay(ticket: Ticket) -> float:
    """Another one for each ticket, and the same for the same one."""
    shortest, longest = UNCLAIMED_RESEND_DELAY
    return shortest + (longest - shortest) * crc32(ticket.id.encode()) / 2**32


class LeaseStillHeld(Exception):
    """A ticket to be buried is claimed by an owner whose lease goes on."""


class QueueHandler:
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
        reload: Callable[[float, float], Awaitable[object]] | None = None,
    ) -> None:
        """`look(unless_within, patience)` puts changed job files in force: see Reloading.look_briefly."""
        self._catalog = catalog
        self._runs = runs
        self._worker = worker
        self._dispatch = dispatch
        self._dead_letters = dead_letters
        self._clock = clock
        self._owner = owner
        self._reload = reload

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
        tickets = decode_batch(body).tickets
        if self._reload is not None:
            known = self._are_definitions_known(tickets)
            await self._reload(
                *(
                    (RELOAD_INTERVAL, RELOAD_TIMEOUT)
                    if known
                    else (UNKNOWN_JOB_RELOAD_INTERVAL, UNKNOWN_JOB_RELOAD_TIMEOUT)
                )
            )
        last = self._clock.now() + MAX_EARLINESS
        if early := [ticket for ticket in tickets if ticket.due_at > last]:
            _log.warning("%d runs are due only later, %s first: sent again for then", len(early), early[0].id)
            await self._dispatch.send(early)
        ends = await self._worker.execute_batch([ticket for ticket in tickets if ticket.due_at <= last])
        for ticket, end in ends:
            if isinstance(end, Exception):
                failures.append((ticket, end))
            elif end is not None and end.claimable_at is not None:
                again[int(end.claimable_at.timestamp() // RESEND_SLICE)].append((end.claimable_at, ticket))
            elif isinstance(end, AlreadyClaimed) and self._may_be_unpublished(ticket, delivery):
                untold: list[Exception] = []
                await self._publish_finished(ticket, end, untold)
                failures += [(ticket, error) for error in untold]
        if failures and not self._can_resend_failed(failures, len(ends)):
            # The others come again with the whole message: sent on their own as well, they would be more each time.
            raise failures[0][1]
        for failed, seconds in _group_by_delay(failures):
            _log.warning("%d of %d runs are sent again, as the store was away", len(failed), len(ends))
            await self._dispatch.send(failed, not_before=self._clock.now() + timedelta(seconds=seconds))
        for later in again.values():
            await self._dispatch.send([ticket for _, ticket in later], not_before=max(until for until, _ in later))

    def _can_resend_failed(self, failures: Sequence[tuple[Ticket, Exception]], performed: int) -> bool:
        """Whether what failed is sent again without the rest of its message, which would be claimed in vain, ticket by
        ticket, from a store that is just coming back.

        Not for ever: the platform counts how often it delivers a message, and gives it up at last.
        """
        oldest = min(ticket.due_at for ticket, _ in failures)
        is_passing = all(isinstance(error, StoreError | DispatchError) for _, error in failures)
        return (
            is_passing
            and performed - len(failures) >= MIN_FINISHED_FOR_RESEND
            and self._clock.now() - oldest < RESEND_WINDOW
        )

    def _are_definitions_known(self, tickets: Sequence[Ticket]) -> bool:
        """False if another instance has planned some of them, by job files that this one has not read."""
        found = ((ticket, self._catalog.find_job(ticket.job)) for ticket in tickets)
        return all(entry is not None and entry.generation == ticket.generation for ticket, entry in found)

    def _may_be_unpublished(self, ticket: Ticket, delivery: int) -> bool:
        """Whether the finished run of this ticket may be one of an owner that died before it told anybody.

        The ticket then comes again: in the same message, or in another one once the lease is over.
        """
        return delivery > 1 or self._clock.now() - ticket.due_at > LEASE_RESEND_DELAY

    async def _publish_finished(self, ticket: Ticket, held: AlreadyClaimed, failures: list[Exception]) -> None:
        """Tell of a finished run, which is read if only its key is known."""
        run = held.record.run
        if run is None:
            try:
                found = await self._runs.find(ticket.id)
            except StoreError as error:
                failures.append(error)
                return
            run = None if found is None else found.run
        await self._publish(run, failures)

    async def dead_letter_poison(self, body: str | bytes, poisoned_at: datetime | None = None) -> None:
        """Keep what was given up: a dead letter, and a failed run for each ticket of the message that is not finished.

        `poisoned_at` (now, if it is not known) is part of a dead letter's id: burying again with it adds nothing.

        Raises:
            StillHeld: an owner's lease goes on, who may be alive or not; bury it again later.
            StoreError: bury it again.
        """
        at = poisoned_at or self._clock.now()
        try:
            tickets = decode_batch(body).tickets
        except InvalidBatchMessage as error:
            text = body.decode(errors="replace") if isinstance(body, bytes) else body
            await self._dead_letters.add(DeadLetter.from_message(text, str(error), at))
            _log.error("a message is a dead letter: %s", error)
            return
        failures: list[Exception] = []
        places = asyncio.Semaphore(DEAD_LETTER_CONCURRENCY)

        async def bury(ticket: Ticket) -> bool:
            async with places:
                return await self._dead_letter_ticket(ticket, at, failures)

        ends = await asyncio.gather(*map(bury, tickets), return_exceptions=True)
        for failure in (*(end for end in ends if isinstance(end, BaseException)), *failures):
            raise failure
        held = [ticket.id for ticket, is_buried in zip(tickets, ends, strict=True) if not is_buried]
        if held:
            raise LeaseStillHeld(
                f"these runs are claimed for some time yet, and are buried after it: {', '.join(held)}"
            )

    async def _dead_letter_ticket(self, ticket: Ticket, at: datetime, failures: list[Exception]) -> bool:
        """False if another owner holds it still."""
        now = self._clock.now()
        claim = await self._runs.claim(ticket, self._owner, now + DEAD_LETTER_LEASE, now)
        if isinstance(claim, AlreadyClaimed):
            # Who finished it may have died before it told anybody, as the message would not have come here otherwise.
            await self._publish(claim.record.run, failures)
            return claim.claimable_at is None
        entry = self._catalog.find_job(ticket.job)
        job = entry.job if entry else None
        letter = DeadLetter.from_ticket(ticket, DEAD_LETTER_REASON, at, job=job)
        await self._dead_letters.add(letter)
        run = dead_lettered_run(ticket, now, DEAD_LETTER_REASON, job)
        await self._runs.finish(claim, run, acknowledged=self._worker.publisher.is_acknowledged_on_finish(ticket.job))
        await self._publish(run, failures, letter)
        return True

    async def _publish(self, run: Run | None, failures: list[Exception], letter: DeadLetter | None = None) -> None:
        """A failure stops no other ticket."""
        if run is None:
            return
        try:
            await self._worker.publisher.publish(run, letter)
        except NotFollowedUp as error:
            failures.append(error)
