"""Work of the Functions host's queue triggers: perform a batch, dead-letter a poison message; opens the queue.

Every method is idempotent: the claim of a ticket prevents a second run.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zlib import crc32

from config.identity import AppIdentity
from config.settings.model import Settings
from jobs.ports import Clock
from jobs.running.run_factories import dead_lettered_run
from jobs.runs import Run, Ticket
from scheduler.app.adapters import find_client_options
from scheduler.catalog.catalog import Catalog
from scheduler.dispatch.batches import InvalidBatchMessage, decode_batch
from scheduler.dispatch.port import Dispatch, DispatchError
from scheduler.dispatch.queue_names import run_queue_name
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.port import StoreError, StoreUnavailable
from scheduler.stores.runs.repository import AlreadyClaimed, Runs
from scheduler.worker.publishing import NotFollowedUp
from scheduler.worker.worker import Worker

if TYPE_CHECKING:
    from scheduler.dispatch.azure_queue import AzureQueueDepthReader, AzureQueueDispatch


async def open_queue(settings: Settings, identity: AppIdentity, clock: Clock) -> AzureQueueDispatch:
    """Where tickets go to. Raises DispatchError."""
    from scheduler.dispatch.azure_queue import open_azure_queue

    return await open_azure_queue(**await _queue_connection(settings, identity, clock))


async def open_queue_depth(settings: Settings, identity: AppIdentity, clock: Clock) -> AzureQueueDepthReader:
    """How much waits there. Raises DispatchError."""
    from scheduler.dispatch.azure_queue import open_azure_depth_reader

    return open_azure_depth_reader(**await _queue_connection(settings, identity, clock))


async def _queue_connection(settings: Settings, identity: AppIdentity, clock: Clock) -> dict[str, Any]:
    storage = settings.storage
    return {
        "queue_name": run_queue_name(storage.prefix),
        "connection_string": storage.connection_string.get_secret_value() if storage.connection_string else None,
        "url": storage.queue_url or f"https://{storage.account_name}.queue.core.windows.net",
        "credential": None if storage.connection_string else await identity.open_credential(),
        "now": clock.now,
        "create_options": lambda: find_client_options(settings),
    }


_log = logging.getLogger("scheduler.hosts.functions.queue")

DEAD_LETTER_LEASE = timedelta(seconds=60)
DEAD_LETTER_CONCURRENCY = 8
"""Tickets of a message at the same time: each takes several requests, and the message must not reappear meanwhile."""
RESEND_SLICE = 10.0
"""Seconds: tickets that are resent for the same slice of time share a message."""
LEASE_RESEND_DELAY = timedelta(seconds=30)
"""A ticket that another owner held is resent for the end of that lease, so it is late by more than this."""
MIN_FINISHED_FOR_RESEND = 20
"""Minimum number of finished tickets of a message for which the failed ones are resent without them."""
RESEND_WINDOW = timedelta(minutes=5)
"""Since the due instant. After this time a failure fails the whole message, which ends as dead letters."""
UNCLAIMED_RESEND_DELAY = (2.0, 8.0)
"""Shortest and longest delay of a resent ticket in seconds: spread, because many messages fail together."""
MAX_EARLINESS = timedelta(minutes=2)
"""A message is visible some seconds before its tickets are due. If it is earlier than this, the clock of the tick that
planned it was ahead. Waiting that long would let the platform give up the message."""
RELOAD_INTERVAL = 15.0
"""Age in seconds after which a batch reads the job files again. (Each tick reads them.)"""
UNKNOWN_JOB_RELOAD_INTERVAL = 0.0
"""Age in seconds after which a batch does so that was planned by definitions that this process does not have."""
RELOAD_TIMEOUT, UNKNOWN_JOB_RELOAD_TIMEOUT = 1.0, 10.0
"""Seconds that a batch waits for such a read: known runs must not be late, unknown ones cannot run without it."""
DEAD_LETTER_REASON = "it was delivered the maximum number of times and never finished"


def _group_by_delay(failures: Sequence[tuple[Ticket, Exception]]) -> Iterator[tuple[list[Ticket], float]]:
    """Group the failed tickets by the delay in seconds until they are resent: unclaimed ones, and those that ran."""
    unclaimed = [ticket for ticket, error in failures if type(error) is StoreUnavailable]
    started = [ticket for ticket, error in failures if type(error) is not StoreUnavailable]
    if unclaimed:
        yield unclaimed, _resend_delay(unclaimed[0])
    if started:
        # So late that the receiver checks whether their runs were published.
        yield started, LEASE_RESEND_DELAY.total_seconds() + _resend_delay(started[0])


def _resend_delay(ticket: Ticket) -> float:
    """Return a delay in seconds that depends on the ticket's id alone."""
    shortest, longest = UNCLAIMED_RESEND_DELAY
    return shortest + (longest - shortest) * crc32(ticket.id.encode()) / 2**32


class LeaseStillHeld(Exception):
    """A ticket of a poison message has an owner whose lease has not expired."""


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
        """`reload` puts changed job files in force: see JobReloader.reload_within."""
        self._catalog = catalog
        self._runs = runs
        self._worker = worker
        self._dispatch = dispatch
        self._dead_letters = dead_letters
        self._clock = clock
        self._owner = owner
        self._reload = reload

    async def perform_batch(self, body: str | bytes, delivery: int = 1, sent_at: datetime | None = None) -> None:
        """Perform each ticket at its instant.

        A ticket that another owner holds is resent for the end of that lease, and claimed then if the owner died. A
        ticket that waits long for a gate, or is due much later, is resent, too. `delivery`: how often the message was
        delivered, including this time. `sent_at`: when it was sent; None: unknown.

        Raises:
            BadMessage: the body is not a batch.
            StoreError, DispatchError: a ticket could not be claimed, recorded or followed up; the platform delivers the
                whole message again. If many tickets finished, the failed ones are resent without them instead.
        """
        tickets = decode_batch(body).tickets
        await self._reload_definitions(tickets)
        last = self._clock.now() + MAX_EARLINESS
        if early := [ticket for ticket in tickets if ticket.due_at > last]:
            _log.warning("%d runs are not due yet (earliest %s): message rescheduled", len(early), early[0].id)
            await self._dispatch.send(early)
        due = [ticket for ticket in tickets if ticket.due_at <= last]
        results = await self._worker.execute_batch(due, sent_at)
        failures: list[tuple[Ticket, Exception]] = []
        later: defaultdict[int, list[tuple[datetime, Ticket]]] = defaultdict(list)
        for ticket, result in results:
            if isinstance(result, Exception):
                failures.append((ticket, result))
            elif result is not None and result.retry_at is not None:
                later[int(result.retry_at.timestamp() // RESEND_SLICE)].append((result.retry_at, ticket))
            elif isinstance(result, AlreadyClaimed) and self._may_be_unpublished(ticket, delivery):
                errors: list[Exception] = []
                await self._publish_finished(ticket, result, errors)
                failures += [(ticket, error) for error in errors]
        await self._resend_failed(failures, len(results))
        for group in later.values():
            await self._dispatch.send([ticket for _, ticket in group], not_before=max(at for at, _ in group))

    async def _reload_definitions(self, tickets: Sequence[Ticket]) -> None:
        """Read changed job files first, at once if the batch was planned by definitions that this process lacks."""
        if self._reload is None:
            return
        if self._are_definitions_known(tickets):
            await self._reload(RELOAD_INTERVAL, RELOAD_TIMEOUT)
        else:
            await self._reload(UNKNOWN_JOB_RELOAD_INTERVAL, UNKNOWN_JOB_RELOAD_TIMEOUT)

    async def _resend_failed(self, failures: Sequence[tuple[Ticket, Exception]], performed: int) -> None:
        if failures and not self._can_resend_failed(failures, performed):
            # The whole message is delivered again: resending tickets in addition would multiply them.
            raise failures[0][1]
        for failed, seconds in _group_by_delay(failures):
            _log.warning("resent %d of %d runs: the store was unavailable", len(failed), performed)
            await self._dispatch.send(failed, not_before=self._clock.now() + timedelta(seconds=seconds))

    def _can_resend_failed(self, failures: Sequence[tuple[Ticket, Exception]], performed: int) -> bool:
        """Return whether the failed tickets are resent without the rest of their message.

        Claiming the finished ones again would load a store that is just recovering. There is a time limit, because only
        the platform's count of deliveries turns a message into dead letters.
        """
        oldest = min(ticket.due_at for ticket, _ in failures)
        is_passing = all(isinstance(error, StoreError | DispatchError) for _, error in failures)
        return (
            is_passing
            and performed - len(failures) >= MIN_FINISHED_FOR_RESEND
            and self._clock.now() - oldest < RESEND_WINDOW
        )

    def _are_definitions_known(self, tickets: Sequence[Ticket]) -> bool:
        """Return False if another instance planned some of them by job files that this one has not read."""
        found = ((ticket, self._catalog.find_job(ticket.job)) for ticket in tickets)
        return all(entry is not None and entry.generation == ticket.generation for ticket, entry in found)

    def _may_be_unpublished(self, ticket: Ticket, delivery: int) -> bool:
        """Return whether the owner of this finished run may have died before it published the run.

        The ticket is then delivered again: in the same message, or in another one after the lease.
        """
        return delivery > 1 or self._clock.now() - ticket.due_at > LEASE_RESEND_DELAY

    async def _publish_finished(self, ticket: Ticket, held: AlreadyClaimed, failures: list[Exception]) -> None:
        """Publish a finished run; read it first if only its key is known."""
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
        """Store a dead letter and a failed run for each ticket of the message that has not finished.

        `poisoned_at` (default: now) is part of a dead letter's id, so that a repetition adds nothing.

        Raises:
            LeaseStillHeld: the lease of an owner has not expired; the platform delivers the message again later.
            StoreError: the platform delivers the message again.
        """
        at = poisoned_at or self._clock.now()
        try:
            tickets = decode_batch(body).tickets
        except InvalidBatchMessage as error:
            text = body.decode(errors="replace") if isinstance(body, bytes) else body
            await self._dead_letters.add(DeadLetter.from_message(text, str(error), at))
            _log.error("stored an unreadable message as a dead letter: %s", error)
            return
        failures: list[Exception] = []
        places = asyncio.Semaphore(DEAD_LETTER_CONCURRENCY)

        async def dead_letter(ticket: Ticket) -> bool:
            async with places:
                return await self._dead_letter_ticket(ticket, at, failures)

        ends = await asyncio.gather(*map(dead_letter, tickets), return_exceptions=True)
        for failure in (*(end for end in ends if isinstance(end, BaseException)), *failures):
            raise failure
        held = [ticket.id for ticket, is_buried in zip(tickets, ends, strict=True) if not is_buried]
        if held:
            raise LeaseStillHeld(
                f"these runs are still claimed, and become dead letters when their leases expire: {', '.join(held)}"
            )

    async def _dead_letter_ticket(self, ticket: Ticket, at: datetime, failures: list[Exception]) -> bool:
        """Return False if another owner still holds the ticket."""
        now = self._clock.now()
        claim = await self._runs.claim(ticket, self._owner, now + DEAD_LETTER_LEASE, now)
        if isinstance(claim, AlreadyClaimed):
            # Its owner may have died before it published the run; otherwise the message would not be here.
            run = claim.record.run
            if run is not None:  # another message with this ticket came after the letter of this one
                await self._worker.discard_stale_letter(run, DeadLetter.from_ticket(ticket, "", at).id)
            await self._publish(run, failures)
            return claim.retry_at is None
        entry = self._catalog.find_job(ticket.job)
        job = entry.job if entry else None
        letter = DeadLetter.from_ticket(ticket, DEAD_LETTER_REASON, at, job=job)
        await self._dead_letters.add(letter)
        run = dead_lettered_run(ticket, now, DEAD_LETTER_REASON, job)
        await self._runs.finish(claim, run, acknowledged=self._worker.publisher.is_acknowledged_on_finish(ticket.job))
        await self._publish(run, failures, letter)
        return True

    async def _publish(self, run: Run | None, failures: list[Exception], letter: DeadLetter | None = None) -> None:
        """Publish a run. A failure is added to `failures`, so that it stops no other ticket."""
        if run is None:
            return
        if letter is None:
            await self._worker.discard_stale_letter(run)
        try:
            await self._worker.publisher.publish(run, letter)
        except NotFollowedUp as error:
            failures.append(error)
