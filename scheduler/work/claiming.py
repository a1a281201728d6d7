"""Makes tickets this process's: many at once ahead of their instants, or one right before it starts.

Used by worker, performing and leaving_out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from jobs.definition import JobDefinition
from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from scheduler.catalog import Catalog
from scheduler.stores.port import StoreError
from scheduler.stores.runs import Claim, ClaimLost, Held, Runs
from scheduler.work.going import Going
from scheduler.work.leases import Leases

_log = logging.getLogger("scheduler.worker")

_PAUSES = (0.2, 0.5, 1.0)
"""Seconds between two tries while the store is away; the last one goes on."""
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
        try:
            answers = await self._runs.claim_all(wanted, self._leases.owner, self._clock.now())
        except StoreError as error:
            return [error] * len(tickets)
        for job, answer in zip(jobs, answers, strict=True):
            if isinstance(answer, Claim):
                self.holds(answer, job)
        return answers

    async def one(self, ticket: Ticket) -> Claim | Held:
        """Claim a ticket now, over a short absence of the store.

        Raises:
            StoreError: it stayed away, or can never take this run.
        """
        tries, since = 0, max(ticket.due_at, self._clock.now())
        while True:
            (answer,) = await self.ahead([ticket])
            if not isinstance(answer, StoreError):
                return answer
            if self._clock.now() - since >= self._patience:
                raise answer
            await self._clock.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1

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
