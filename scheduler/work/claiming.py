"""Makes tickets this process's: many at once ahead of their instants, or one right before it starts.

Used by worker, performing and leaving_out.
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
from scheduler.catalog import Catalog
from scheduler.stores.port import StoreError, StoreUnavailable
from scheduler.stores.runs import Claim, ClaimLost, Held, Runs, RunState
from scheduler.work.going import Going
from scheduler.work.leases import Leases
from scheduler.work.store_retry import retry_store

_log = logging.getLogger("scheduler.worker")

_PAUSES = (0.2, 0.5, 1.0)
"""Seconds between two tries while the store is away; the last one goes on."""
STALLED = 5.0
"""Seconds after which an answer that the store is away means that it stands still. A refusal is quicker."""
STILL_ON_TIME = timedelta(seconds=10)
"""How long after its instant a run is still started though the store was away, where nobody delivers it again."""


class Claiming:
    """`patience`: how long after the instant a claim is tried for while the store is away."""

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        leases: Leases,
        going: Going,
        clock: Clock,
        *,
        patience: timedelta = STILL_ON_TIME,
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self._leases = leases
        self._going = going
        self._clock = clock
        self._patience = patience
        self._in_flight: Counter[str] = Counter()
        """Runs that are being claimed, by id: how many times at once."""

    def is_ahead(self, ticket: Ticket) -> bool:
        """Whether the ticket is claimed before its instant. If not: once it may start, after the gates.

        What is not scheduled is stored as queued; while it waits, anybody may run it or cancel it.
        """
        entry = self._catalog.find(ticket.job)
        return ticket.trigger is Trigger.SCHEDULE and (entry is None or entry.job.effect == "repeatable")

    async def ahead(self, tickets: Sequence[Ticket]) -> Sequence[Claim | Held | StoreError]:
        """Claim the tickets together. Answers in the same order; nothing is tried again."""
        jobs = [self._job(ticket) for ticket in tickets]
        wanted = [(ticket, self._leases.until(ticket, job)) for ticket, job in zip(tickets, jobs, strict=True)]
        self._in_flight.update(ticket.id for ticket in tickets)
        try:
            answers = await self._runs.claim_all(wanted, self._leases.owner, self._clock.now())
        except StoreError as error:
            return [error] * len(tickets)
        finally:
            self._in_flight.subtract(ticket.id for ticket in tickets)
            self._in_flight = +self._in_flight
        for job, answer in zip(jobs, answers, strict=True):
            if isinstance(answer, Claim):
                self.holds(answer, job)
        return answers

    async def ahead_over_a_stall(self, tickets: Sequence[Ticket]) -> Sequence[Claim | Held | StoreError]:
        """`ahead`, and once more for those whose claims failed only after a while: the store stands still, rather than
        to refuse, and mostly goes on within the half minute that all this takes. Nothing else is as quick then: a
        message that fails comes again after half a minute, together with all others."""
        began = self._clock.monotonic()
        answers = list(await self.ahead(tickets))
        failed = [place for place, answer in enumerate(answers) if isinstance(answer, StoreUnavailable)]
        if failed and self._clock.monotonic() - began >= STALLED:
            again = await self.ahead([tickets[place] for place in failed])
            for place, answer in zip(failed, again, strict=True):
                answers[place] = self._adopted(tickets[place], answer)
        return answers

    def _adopted(self, ticket: Ticket, answer: Claim | Held | StoreError) -> Claim | Held | StoreError:
        """The claim itself, if the run is held by the try of this process whose answer did not come in time.

        Nobody else here may have it: another delivery of its message may be claiming it at the same time.
        """
        if not isinstance(answer, Held) or answer.until is None:
            return answer
        record, taken = answer.record, self._leases.holds(ticket.id) or self._in_flight[ticket.id]
        if record.owner != self._leases.owner or record.state is not RunState.RUNNING or taken:
            return answer
        claim = Claim(ticket, record.owner, answer.until, record.etag)
        self.holds(claim, self._job(ticket))
        return claim

    async def one(self, ticket: Ticket) -> Claim | Held:
        """Claim a ticket now, over a short absence of the store.

        Raises:
            StoreError: it stayed away, or can never take this run.
        """
        return await retry_store(
            partial(self._claim_one, ticket), self._backoff(max(ticket.due_at, self._clock.now())), self._clock
        )

    async def _claim_one(self, ticket: Ticket) -> Claim | Held:
        (answer,) = await self.ahead([ticket])
        if isinstance(answer, StoreError):
            raise answer
        return answer

    def _backoff(self, since: datetime) -> Iterator[float]:
        """The pauses between two tries, as long as the ticket may be tried again."""
        pauses = chain(_PAUSES, repeat(_PAUSES[-1]))
        while self._clock.now() - since < self._patience:
            yield next(pauses)

    def holds(self, claim: Claim, job: JobDefinition | None) -> None:
        """Keep alive a claim that was made for this process."""
        self._leases.hold(claim, job)
        self._going.expect(claim.ticket.id)

    async def give_back(self, claim: Claim) -> None:
        """The run does not begin here: anybody may claim it. If the store is away, the lease just ends some time."""
        newest = self._leases.newest(claim)
        self.let_go(claim)
        try:
            await self._runs.put_back(newest)
        except ClaimLost:
            return
        except StoreError as error:
            _log.warning("run %s is free for others only when its lease ends: %s", claim.ticket.id, error)

    async def withdraw(self, claim: Claim) -> None:
        """A planned run is not even due: the next process plans it again, by what its jobs are then."""
        self.let_go(claim)
        try:
            await self._runs.withdraw(claim)
        except StoreError as error:
            _log.warning("run %s stays claimed until its lease ends: %s", claim.ticket.id, error)

    def let_go(self, claim: Claim) -> None:
        """The run is over, or is not this process's any more."""
        self._leases.let_go(claim.ticket.id)
        self._going.forget(claim.ticket.id)

    def _job(self, ticket: Ticket) -> JobDefinition | None:
        entry = self._catalog.find(ticket.job)
        return None if entry is None else entry.job
