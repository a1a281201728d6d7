"""Claims tickets for this process: in batches before their instants, or one right before it starts.

Called by scheduler.worker.claims.ticket_claim; built by scheduler.worker.worker_dependencies.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, repeat

from jobs.definition import JobDefinition
from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from scheduler.catalog.catalog import Catalog
from scheduler.stores.port import StoreError, StoreUnavailable
from scheduler.stores.runs.repository import AlreadyClaimed, Claim, ClaimLost, Runs, RunState
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.claims.leases import RunLeases
from scheduler.worker.store_retry import retry_store

_log = logging.getLogger("scheduler.worker")

_CLAIM_BACKOFF = (0.2, 0.5, 1.0)
"""Seconds between two tries while the store is unavailable; the last pause repeats."""
STORE_STALL_AFTER = 5.0
"""Seconds after which an unavailable store counts as stalled. A store that rejects requests answers sooner."""
CLAIM_RETRY_WINDOW = timedelta(seconds=10)
"""How long after its instant a run still starts after an outage of the store, if no queue delivers its ticket again."""


class TicketClaimer:
    """`retry_window`: how long after the instant a claim is retried while the store is unavailable."""

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        leases: RunLeases,
        registry: RunRegistry,
        clock: Clock,
        *,
        retry_window: timedelta = CLAIM_RETRY_WINDOW,
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self._leases = leases
        self._registry = registry
        self._clock = clock
        self._retry_window = retry_window
        self._in_flight: Counter[str] = Counter()
        """Number of claims in-flight, by run id."""

    def is_claimed_early(self, ticket: Ticket) -> bool:
        """Return whether the ticket is claimed before its instant. Others are claimed once the gates let them start.

        A ticket that is not scheduled is stored as queued; while it waits, any process can run or cancel it.
        """
        entry = self._catalog.find_job(ticket.job)
        return ticket.trigger is Trigger.SCHEDULE and (entry is None or entry.job.effect == "repeatable")

    async def claim_batch(self, tickets: Sequence[Ticket]) -> Sequence[Claim | AlreadyClaimed | StoreError]:
        """Claim the tickets together, without retry. Returns the answers in the same order."""
        jobs = [self._job(ticket) for ticket in tickets]
        claims = [(ticket, self._leases.lease_end(ticket, job)) for ticket, job in zip(tickets, jobs, strict=True)]
        self._in_flight.update(ticket.id for ticket in tickets)
        try:
            answers = await self._runs.claim_all(claims, self._leases.owner, self._clock.now())
        except StoreError as error:
            return [error] * len(tickets)
        finally:
            self._in_flight.subtract(ticket.id for ticket in tickets)
            self._in_flight = +self._in_flight
        for job, answer in zip(jobs, answers, strict=True):
            if isinstance(answer, Claim):
                self.hold_claim(answer, job)
        return answers

    async def claim_batch_over_stall(self, tickets: Sequence[Ticket]) -> Sequence[Claim | AlreadyClaimed | StoreError]:
        """Claim the tickets together, and retry once the claims that failed after a while.

        A stalled store mostly answers again within the half minute that this takes. A queue message that fails would
        return only after half a minute, together with all others.
        """
        began = self._clock.monotonic()
        answers = list(await self.claim_batch(tickets))
        failed = [place for place, answer in enumerate(answers) if isinstance(answer, StoreUnavailable)]
        if failed and self._clock.monotonic() - began >= STORE_STALL_AFTER:
            again = await self.claim_batch([tickets[place] for place in failed])
            for place, answer in zip(failed, again, strict=True):
                answers[place] = self._adopt_own_claim(tickets[place], answer)
        return answers

    def _adopt_own_claim(
        self, ticket: Ticket, answer: Claim | AlreadyClaimed | StoreError
    ) -> Claim | AlreadyClaimed | StoreError:
        """Return the claim if the run is held by the first try of this process, whose answer did not arrive in time.

        Another delivery of the message may claim the run in this process at the same time; its claim is not adopted.
        """
        if not isinstance(answer, AlreadyClaimed) or answer.retry_at is None:
            return answer
        record, is_claimed_here = answer.record, self._leases.has(ticket.id) or self._in_flight[ticket.id]
        if record.owner != self._leases.owner or record.state is not RunState.RUNNING or is_claimed_here:
            return answer
        claim = Claim(ticket, record.owner, answer.retry_at, record.etag)
        self.hold_claim(claim, self._job(ticket))
        return claim

    async def claim_with_retry(self, ticket: Ticket) -> Claim | AlreadyClaimed:
        """Claim a ticket now, with retries over a short outage of the store.

        Raises:
            StoreError: the store stayed unavailable, or can never accept this run.
        """
        return await retry_store(
            partial(self._claim_one, ticket), self._backoff(max(ticket.due_at, self._clock.now())), self._clock
        )

    async def _claim_one(self, ticket: Ticket) -> Claim | AlreadyClaimed:
        (answer,) = await self.claim_batch([ticket])
        if isinstance(answer, StoreError):
            raise answer
        return answer

    def _backoff(self, since: datetime) -> Iterator[float]:
        """Yield the pauses between two tries, until the retry window ends."""
        pauses = chain(_CLAIM_BACKOFF, repeat(_CLAIM_BACKOFF[-1]))
        while self._clock.now() - since < self._retry_window:
            yield next(pauses)

    def hold_claim(self, claim: Claim, job: JobDefinition | None) -> None:
        """Renew the lease of a claim of this process from now on."""
        self._leases.add(claim, job)
        self._registry.register(claim.ticket.id)

    async def release_claim(self, claim: Claim) -> None:
        """Release the claim of a run that does not start here. If that fails, the lease expires instead."""
        newest = self._leases.current_claim(claim)
        self.forget_claim(claim)
        try:
            await self._runs.release(newest)
        except ClaimLost:
            return
        except StoreError as error:
            _log.warning("could not release the claim of run %s: %s; its lease expires instead", claim.ticket.id, error)

    async def delete_claim(self, claim: Claim) -> None:
        """Delete the claim of a run that is not due yet: the next process plans it again, by its own jobs."""
        self.forget_claim(claim)
        try:
            await self._runs.delete_claimed(claim)
        except StoreError as error:
            _log.warning("could not delete the claim of run %s: %s; its lease expires instead", claim.ticket.id, error)

    def forget_claim(self, claim: Claim) -> None:
        """Stop renewing the claim: the run has finished, or this process does not have it any more."""
        self._leases.remove(claim.ticket.id)
        self._registry.unregister(claim.ticket.id)

    def _job(self, ticket: Ticket) -> JobDefinition | None:
        entry = self._catalog.find_job(ticket.job)
        return None if entry is None else entry.job
