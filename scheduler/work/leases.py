"""The claims that this process holds, and their leases, which are renewed as long as it holds them. Used by performing.

A lease covers the longest that the run may take, so only what waits (for its instant, a place, a gate) needs renewal:
all of those together, now and then. A process that dies renews nothing, and others take over what it held.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from jobs.definition import JobDefinition
from jobs.policies import LONGEST_RUN
from jobs.ports import Clock
from jobs.runs import Ticket
from scheduler.leasing import RenewalTimer, lease_duration, required_lease
from scheduler.stores.port import StoreError
from scheduler.stores.runs import Claim, ClaimLost, Runs

_log = logging.getLogger("scheduler.worker")

RENEWED_EVERY = 10.0
"""Seconds between two looks at what is held."""
RENEWED_BEFORE = timedelta(seconds=30)
"""A lease that ends within this time is renewed."""
RENEWED_TOGETHER = 200
"""Leases: the texts of so many take a few milliseconds of the event loop."""
NAMED = 5
"""Runs that are named where many leases are not renewed."""


_Covering = tuple[Claim, asyncio.Future[Claim | StoreError]]


def lease_of(job: JobDefinition | None) -> timedelta:
    """How long a claim of the job lasts. None: there is no such job now, and nothing will be run."""
    return lease_duration(LONGEST_RUN if job is None else job.timeout.run)


class Leases:
    def __init__(self, runs: Runs, clock: Clock, owner: str) -> None:
        """`owner` marks this process's claims."""
        self.owner = owner
        self._runs = runs
        self._clock = clock
        self._held: dict[str, tuple[Claim, timedelta]] = {}
        self._timer = RenewalTimer(RENEWED_EVERY, lambda: bool(self._held), self._renew_ending)
        self._covering: defaultdict[timedelta, list[_Covering]] = defaultdict(list)
        """Claims of runs that wait to begin, by the lease that they need."""
        self._coverer: asyncio.Task[None] | None = None

    def until(self, ticket: Ticket, job: JobDefinition | None) -> datetime:
        """The end of the lease of a claim that is made now."""
        return max(ticket.due_at, self._clock.now()) + lease_of(job)

    def hold(self, claim: Claim, job: JobDefinition | None) -> None:
        """Keep this claim alive until it is let go."""
        self._held[claim.ticket.id] = (claim, lease_of(job))
        self._timer.start()

    def holds(self, run_id: str) -> bool:
        return run_id in self._held

    def newest(self, claim: Claim) -> Claim:
        """The claim as it was renewed last."""
        held = self._held.get(claim.ticket.id)
        return claim if held is None else held[0]

    def let_go(self, run_id: str) -> None:
        """Its end is recorded, or it is given back, or nothing is known of it."""
        self._held.pop(run_id, None)

    async def cover(self, claim: Claim, job: JobDefinition) -> None:
        """See to it that the lease outlasts a run that begins now.

        Raises:
            ClaimLost: somebody else has the run.
            StoreError: it could not be renewed now.
        """
        claim, now = self.newest(claim), self._clock.now()
        if claim.lease_until - now >= required_lease(job.timeout.run):
            return
        answer = await self._renew_together(claim, lease_of(job))
        if isinstance(answer, StoreError):
            raise answer

    async def _renew_together(self, claim: Claim, lease: timedelta) -> Claim | StoreError:
        """One request at a time for all claims that come meanwhile: after a stall of the store hundreds of runs begin
        late at once."""
        answered: asyncio.Future[Claim | StoreError] = asyncio.get_running_loop().create_future()
        self._covering[lease].append((claim, answered))
        if self._coverer is None or self._coverer.done():
            self._coverer = asyncio.get_running_loop().create_task(self._cover_all())
        return await answered

    async def _cover_all(self) -> None:
        while self._covering:
            lease, waiting = self._covering.popitem()
            answers: Sequence[Claim | StoreError | BaseException]
            try:
                answers = await self._renew([claim for claim, _ in waiting], self._clock.now() + lease)
            except BaseException as error:
                # Whatever it is, nobody must wait for ever.
                answers = [error] * len(waiting)
            for (_, answered), answer in zip(waiting, answers, strict=True):
                if answered.done():
                    continue  # nobody waits for it any more
                if isinstance(answer, Claim | StoreError):
                    answered.set_result(answer)
                else:
                    answered.set_exception(answer)

    async def _renew_ending(self) -> None:
        soon = self._clock.now() + RENEWED_BEFORE
        by_lease: defaultdict[timedelta, list[Claim]] = defaultdict(list)
        for claim, lease in self._held.values():
            if claim.lease_until < soon:
                by_lease[lease].append(claim)
        failed: list[tuple[str, StoreError]] = []
        for lease, claims in by_lease.items():
            for start in range(0, len(claims), RENEWED_TOGETHER):
                some = claims[start : start + RENEWED_TOGETHER]
                answers = await self._renew(some, self._clock.now() + lease)
                for claim, answer in zip(some, answers, strict=True):
                    if isinstance(answer, StoreError):
                        failed.append((claim.ticket.id, answer))
        for run_id, error in failed[:NAMED]:
            _log.warning("the lease of run %s is not renewed: %s", run_id, error)
        if len(failed) > NAMED:
            _log.warning("nor are the leases of %d more runs", len(failed) - NAMED)

    async def _renew(self, claims: list[Claim], until: datetime) -> list[Claim | StoreError]:
        try:
            answers: list[Claim | StoreError] = list(await self._runs.renew_all(claims, until))
        except StoreError as error:
            return [error] * len(claims)
        for claim, answer in zip(claims, answers, strict=True):
            run_id = claim.ticket.id
            if isinstance(answer, ClaimLost):
                self._held.pop(run_id, None)
            elif isinstance(answer, Claim) and (held := self._held.get(run_id)) is not None:
                self._held[run_id] = (answer, held[1])
        return answers
