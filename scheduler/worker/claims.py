"""Claims tickets for this process: in batches before their instants, or one right before it starts.

A claim is a lease that covers the longest time that the run may take. So only a claim that waits (for its instant, a
place, a gate) needs renewal; all of them are renewed together. After a process has died, its leases expire, and another
process takes the runs over.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, repeat

from jobs.definition import JobDefinition
from jobs.policies import MAX_RUN_TIMEOUT
from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from jobs.runs.waits import WaitReason
from scheduler.catalog.catalog import Catalog
from scheduler.leasing import MIN_LEASE_LEFT_TO_SEND_S, RenewalTimer, lease_duration, required_lease
from scheduler.stores.port import StoreError, StoreUnavailable
from scheduler.stores.runs.repository import AlreadyClaimed, Claim, ClaimLost, Runs, RunState
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.grouping import GroupedRequests
from scheduler.worker.store_outages import retry_store
from scheduler.worker.waits import WaitTimeline

_log = logging.getLogger("scheduler.worker")

RENEWAL_INTERVAL = 10.0
"""Seconds between two renewals."""
RENEWAL_THRESHOLD = timedelta(seconds=30)
"""A lease that ends within this time is renewed."""
MAX_CLAIMS_PER_REQUEST = 200
"""Claims that are renewed or released together: encoding so many takes a few milliseconds of the event loop."""
MAX_NAMED_FAILURES = 5
"""Runs that the log names if many claims cannot be renewed or released."""

MIN_LEFT_TO_SEND = timedelta(seconds=MIN_LEASE_LEFT_TO_SEND_S)


def job_lease_duration(job: JobDefinition | None) -> timedelta:
    """Return how long a claim of the job lasts. None: the job was removed, and no run will start."""
    return lease_duration(MAX_RUN_TIMEOUT if job is None else job.timeout.run)


class RunLeases:
    def __init__(self, runs: Runs, clock: Clock, owner: str) -> None:
        """`owner` marks this process's claims."""
        self.owner = owner
        self._runs = runs
        self._clock = clock
        self._held: dict[str, tuple[Claim, timedelta]] = {}
        self._timer = RenewalTimer(RENEWAL_INTERVAL, lambda: bool(self._held), self._renew_ending)
        self._renewals = GroupedRequests(self._renew_each, MAX_CLAIMS_PER_REQUEST)
        """Of runs that wait to start: after a stall of the store, hundreds start late at once."""
        self.is_trusted: Callable[[], bool] = lambda: True
        """Returns False if another process may have acquired claims before the ends of their leases. Then each claim
        is renewed, which its etag fences, before its run starts."""

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
        ends_at = self.sending_until(run_id)
        return ends_at is not None and ends_at >= self._clock.now()

    def sending_until(self, run_id: str) -> datetime | None:
        """Return until when this process may send requests of the run; None: it does not have the run."""
        held = self._held.get(run_id)
        return None if held is None else held[0].lease_until - MIN_LEFT_TO_SEND

    def covers_run(self, run_id: str, job: JobDefinition) -> bool:
        """Return whether this process certainly has the run, and for long enough if it starts now."""
        held = self._held.get(run_id)
        if held is None or not self.is_trusted():
            return False
        return held[0].lease_until - self._clock.now() >= required_lease(job.timeout.run)

    async def ensure_covers_run(self, claim: Claim, job: JobDefinition) -> None:
        """Renew the lease if it would end before a run that starts now, or if this process does not have it any more.

        Raises:
            ClaimLost: another owner has the run.
            StoreError: the lease could not be renewed now.
        """
        if self.covers_run(claim.ticket.id, job):
            return
        answer = await self._renewals.ask((self.current_claim(claim), job_lease_duration(job)))
        if isinstance(answer, StoreError):
            raise answer

    async def _renew_each(self, renewals: Sequence[tuple[Claim, timedelta]]) -> Sequence[Claim | StoreError]:
        places: defaultdict[timedelta, list[int]] = defaultdict(list)
        for place, (_, lease) in enumerate(renewals):
            places[lease].append(place)
        answers: dict[int, Claim | StoreError] = {}
        for lease, some in places.items():
            renewed = await self._renew([renewals[place][0] for place in some], self._clock.now() + lease)
            answers |= zip(some, renewed, strict=True)
        return [answers[place] for place in range(len(renewals))]

    async def _renew_ending(self) -> None:
        soon = self._clock.now() + RENEWAL_THRESHOLD
        by_lease: defaultdict[timedelta, list[Claim]] = defaultdict(list)
        for claim, lease in self._held.values():
            if claim.lease_until < soon:
                by_lease[lease].append(claim)
        failed: list[tuple[str, StoreError]] = []
        for lease, claims in by_lease.items():
            for start in range(0, len(claims), MAX_CLAIMS_PER_REQUEST):
                some = claims[start : start + MAX_CLAIMS_PER_REQUEST]
                answers = await self._renew(some, self._clock.now() + lease)
                for claim, answer in zip(some, answers, strict=True):
                    # A claim that is lost was released here meanwhile, or the run itself reports it.
                    if isinstance(answer, StoreError) and not isinstance(answer, ClaimLost):
                        failed.append((claim.ticket.id, answer))
        for run_id, error in failed[:MAX_NAMED_FAILURES]:
            _log.warning("could not renew the lease of run %s: %s; retrying", run_id, error)
        if len(failed) > MAX_NAMED_FAILURES:
            _log.warning("could not renew the leases of %d more runs; retrying", len(failed) - MAX_NAMED_FAILURES)

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
        self._releases = GroupedRequests(self._release_group, MAX_CLAIMS_PER_REQUEST)
        """At the end of the program, thousands of waiting runs are released at once."""
        self._in_flight: dict[str, int] = {}
        """Number of claims in-flight, by run id."""

    def is_claimed_early(self, ticket: Ticket) -> bool:
        """Return whether the ticket is claimed before its instant. Others are claimed once the gates let them start.

        A ticket that is not scheduled is stored as queued; while it waits, any process can run or cancel it.
        """
        entry = self._catalog.find_job(ticket.job)
        return ticket.trigger is Trigger.SCHEDULE and (entry is None or entry.job.effect == "repeatable")

    async def claim_batch(self, tickets: Sequence[Ticket]) -> Sequence[Claim | AlreadyClaimed | StoreError]:
        """Claim the tickets together, without retry. Returns the answers in the same order."""
        jobs, now, in_flight = [self._job(ticket) for ticket in tickets], self._clock.now(), self._in_flight
        claims = [
            (ticket, max(ticket.due_at, now) + job_lease_duration(job))
            for ticket, job in zip(tickets, jobs, strict=True)
        ]
        for ticket in tickets:
            in_flight[ticket.id] = in_flight.get(ticket.id, 0) + 1
        try:
            answers = await self._runs.claim_all(claims, self._leases.owner, now)
        except StoreError as error:
            return [error] * len(tickets)
        finally:
            for ticket in tickets:
                if (left := in_flight.pop(ticket.id) - 1) > 0:
                    in_flight[ticket.id] = left
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
        record, is_claimed_here = answer.record, self._leases.has(ticket.id) or ticket.id in self._in_flight
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
        await self._releases.ask(newest)

    async def _release_group(self, claims: Sequence[Claim]) -> Sequence[None]:
        await _give_up("release", claims, self._runs.release_all)
        return [None] * len(claims)

    async def delete_claims(self, claims: Sequence[Claim]) -> None:
        """Delete the claims of runs that are not due yet: the next process plans them again, by its own jobs."""
        for claim in claims:
            self.forget_claim(claim)
        await _give_up("delete", claims, self._runs.delete_all_claimed)

    def forget_claim(self, claim: Claim) -> None:
        """Stop renewing the claim: the run has finished, or this process does not have it any more."""
        self._leases.remove(claim.ticket.id)
        self._registry.unregister(claim.ticket.id)

    def _job(self, ticket: Ticket) -> JobDefinition | None:
        entry = self._catalog.find_job(ticket.job)
        return None if entry is None else entry.job


async def _give_up(
    action: str, claims: Sequence[Claim], request: Callable[[Sequence[Claim]], Awaitable[Sequence[StoreError | None]]]
) -> None:
    answers: Sequence[StoreError | None]
    try:
        answers = await request(claims)
    except StoreError as error:
        answers = [error] * len(claims)
    failed = [
        (claim.ticket.id, answer)
        for claim, answer in zip(claims, answers, strict=True)
        if answer is not None and not isinstance(answer, ClaimLost)
    ]
    for run_id, failure in failed[:MAX_NAMED_FAILURES]:
        _log.warning("could not %s the claim of run %s: %s; its lease expires instead", action, run_id, failure)
    if (more := len(failed) - MAX_NAMED_FAILURES) > 0:
        _log.warning("could not %s the claims of %d more runs; their leases expire instead", action, more)


class TicketClaim:
    def __init__(
        self, ticket: Ticket, claim: Claim | None, claimer: TicketClaimer, leases: RunLeases, waits: WaitTimeline
    ) -> None:
        """`claim` None: `ensure` makes one."""
        self.ticket = ticket
        self.waits = waits
        self._claim = claim
        self._claimer = claimer
        self._leases = leases
        self._is_used = False
        self.is_forgotten = False
        """Whether nothing is left to release: the lease is not renewed any more, and the claim was used."""

    @property
    def is_claimed(self) -> bool:
        """Whether the ticket is claimed."""
        return self._claim is not None

    @property
    def is_recovered(self) -> bool:
        """Whether the run was claimed by a process that died."""
        return self._claim is not None and self._claim.is_takeover

    def must_not_run(self, job: JobDefinition) -> bool:
        """Whether a process that died may have executed the run, and the job must not be executed twice."""
        return self.is_recovered and job.effect == "once"

    def current(self) -> Claim:
        """Return the claim as it was renewed last."""
        assert self._claim is not None, "the ticket is claimed"
        return self._leases.current_claim(self._claim)

    async def ensure(self) -> AlreadyClaimed | None:
        """Claim the ticket if it is not claimed. Returns AlreadyClaimed if another owner has it. Raises StoreError."""
        if self._claim is None:
            answer = await self._claimer.claim_with_retry(self.ticket)
            if isinstance(answer, AlreadyClaimed):
                return answer
            self._claim = answer
            self.waits.end_wait(WaitReason.CLAIM)
        return None

    def covers_run(self, job: JobDefinition) -> bool:
        """Return whether the lease covers a run that starts now; True without a claim, which `ensure` makes."""
        return self._claim is None or self._leases.covers_run(self.ticket.id, job)

    async def ensure_covers_run(self, job: JobDefinition) -> None:
        """Renew the lease, if there is one, so that it covers a run that starts now. Raises ClaimLost, StoreError."""
        if self._claim is not None:
            await self._leases.ensure_covers_run(self._claim, job)
            self.waits.end_wait(WaitReason.CLAIM)

    def may_send(self) -> bool:
        """Return whether the lease lasts for long enough to send a request."""
        return self._leases.may_send(self.ticket.id)

    def sending_until(self) -> datetime | None:
        """Return until when requests may be sent, unless the lease is renewed; None: the run is not held here."""
        return self._leases.sending_until(self.ticket.id)

    def mark_used(self) -> None:
        """Do not release the claim: the run starts, or its end is recorded, or another owner has the run."""
        self._is_used = True

    def mark_unused(self) -> None:
        """Release the claim at the end after all: the run did not start."""
        self._is_used = False

    def forget(self) -> None:
        """Stop renewing the lease: the run has finished, or this process does not have it any more."""
        if self._claim is not None:
            self._claimer.forget_claim(self._claim)
        self.is_forgotten = self._is_used

    async def release(self) -> None:
        """Stop renewing the lease, and let another process claim the run unless the claim was used. Raises nothing."""
        if self._is_used:
            self.forget()
        elif self._claim is not None:
            self._is_used = True
            await self._claimer.release_claim(self._claim)
