"""Renews the leases of the claims that this process holds.

Called by scheduler.worker.claims.claimer and scheduler.worker.claims.ticket_claim. A lease covers the longest time that
the run may take. So only a claim that waits (for its instant, a place, a gate) needs renewal; all of them are renewed
together. After a process has died, its leases expire, and another process takes the runs over.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from jobs.definition import JobDefinition
from jobs.policies import LONGEST_RUN_TIMEOUT
from jobs.ports import Clock
from jobs.runs import Ticket
from scheduler.leasing import MIN_LEASE_LEFT_TO_SEND_S, RenewalTimer, lease_duration, required_lease
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Claim, ClaimLost, Runs

_log = logging.getLogger("scheduler.worker")

RENEWAL_INTERVAL = 10.0
"""Seconds between two renewals."""
RENEWAL_THRESHOLD = timedelta(seconds=30)
"""A lease that ends within this time is renewed."""
MAX_RENEWALS_PER_REQUEST = 200
"""Leases: encoding so many takes a few milliseconds of the event loop."""
MAX_NAMED_RENEWALS = 5
"""Runs that the log names if many leases cannot be renewed."""

MIN_LEFT_TO_SEND = timedelta(seconds=MIN_LEASE_LEFT_TO_SEND_S)


_PendingRenewal = tuple[Claim, asyncio.Future[Claim | StoreError]]


def job_lease_duration(job: JobDefinition | None) -> timedelta:
    """Return how long a claim of the job lasts. None: the job was removed, and no run will start."""
    return lease_duration(LONGEST_RUN_TIMEOUT if job is None else job.timeout.run)


class RunLeases:
    def __init__(self, runs: Runs, clock: Clock, owner: str) -> None:
        """`owner` marks this process's claims."""
        self.owner = owner
        self._runs = runs
        self._clock = clock
        self._held: dict[str, tuple[Claim, timedelta]] = {}
        self._timer = RenewalTimer(RENEWAL_INTERVAL, lambda: bool(self._held), self._renew_ending)
        self._pending_renewals: defaultdict[timedelta, list[_PendingRenewal]] = defaultdict(list)
        """Claims of runs that wait to start, by the duration of their leases."""
        self._pending_task: asyncio.Task[None] | None = None

    def lease_end(self, ticket: Ticket, job: JobDefinition | None) -> datetime:
        """Return the end of the lease of a claim that is made now."""
        return max(ticket.due_at, self._clock.now()) + job_lease_duration(job)

    def add(self, claim: Claim, job: JobDefinition | None) -> None:
        """Renew the lease of this claim until it is removed."""
        self._held[claim.ticket.id] = (claim, job_lease_duration(job))
        self._timer.start()

    def has(self, run_id: str) -> bool:
        return run_id in self._held

    def current_claim(self, claim: Claim) -> Claim:
        """Return the claim as it was renewed last."""
        held = self._held.get(claim.ticket.id)
        return claim if held is None else held[0]

    def remove(self, run_id: str) -> None:
        """Stop renewing the lease of this run; nothing happens if it has none."""
        self._held.pop(run_id, None)

    def may_send(self, run_id: str) -> bool:
        """Return whether this process has the run, for long enough to send a request: no other process has it."""
        held = self._held.get(run_id)
        return held is not None and held[0].lease_until - self._clock.now() >= MIN_LEFT_TO_SEND

    async def ensure_covers_run(self, claim: Claim, job: JobDefinition) -> None:
        """Renew the lease if it would end before a run that starts now, or if this process does not have it any more.

        Raises:
            ClaimLost: another owner has the run.
            StoreError: the lease could not be renewed now.
        """
        is_held, claim = self.has(claim.ticket.id), self.current_claim(claim)
        if is_held and claim.lease_until - self._clock.now() >= required_lease(job.timeout.run):
            return
        answer = await self._renew_with_others(claim, job_lease_duration(job))
        if isinstance(answer, StoreError):
            raise answer

    async def _renew_with_others(self, claim: Claim, lease: timedelta) -> Claim | StoreError:
        """Renew a claim in the next request, which includes all claims that wait for it.

        After a stall of the store, hundreds of runs start late at once.
        """
        answered: asyncio.Future[Claim | StoreError] = asyncio.get_running_loop().create_future()
        self._pending_renewals[lease].append((claim, answered))
        if self._pending_task is None or self._pending_task.done():
            self._pending_task = asyncio.get_running_loop().create_task(self._renew_pending())
        return await answered

    async def _renew_pending(self) -> None:
        while self._pending_renewals:
            lease, waiting = self._pending_renewals.popitem()
            answers: Sequence[Claim | StoreError | BaseException]
            try:
                answers = await self._renew([claim for claim, _ in waiting], self._clock.now() + lease)
            except BaseException as error:
                # Any error ends the wait: a run must not wait without end.
                answers = [error] * len(waiting)
            for (_, answered), answer in zip(waiting, answers, strict=True):
                if answered.done():
                    continue  # its task was cancelled
                if isinstance(answer, Claim | StoreError):
                    answered.set_result(answer)
                else:
                    answered.set_exception(answer)

    async def _renew_ending(self) -> None:
        soon = self._clock.now() + RENEWAL_THRESHOLD
        by_lease: defaultdict[timedelta, list[Claim]] = defaultdict(list)
        for claim, lease in self._held.values():
            if claim.lease_until < soon:
                by_lease[lease].append(claim)
        failed: list[tuple[str, StoreError]] = []
        for lease, claims in by_lease.items():
            for start in range(0, len(claims), MAX_RENEWALS_PER_REQUEST):
                some = claims[start : start + MAX_RENEWALS_PER_REQUEST]
                answers = await self._renew(some, self._clock.now() + lease)
                for claim, answer in zip(some, answers, strict=True):
                    if isinstance(answer, StoreError):
                        failed.append((claim.ticket.id, answer))
        for run_id, error in failed[:MAX_NAMED_RENEWALS]:
            _log.warning("could not renew the lease of run %s: %s; retrying", run_id, error)
        if len(failed) > MAX_NAMED_RENEWALS:
            _log.warning("could not renew the leases of %d more runs; retrying", len(failed) - MAX_NAMED_RENEWALS)

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
