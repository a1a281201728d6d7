"""Leases of claims that this process holds, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from scheduler.catalog.catalog import Catalog
from scheduler.leasing import MIN_LEASE_LEFT_TO_SEND_S
from scheduler.stores.gates import Cancellations
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Claim, ClaimLost, Runs, RunState
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.claims import RunLeases, TicketClaimer
from tests.jobs.running.virtual_time import LoopClock, VirtualTimeLoop, virtual_time
from tests.scheduler.fakes import entry
from tests.scheduler.stores.memory import MemoryStore
from tests.scheduler.stores.samples import ticket


class SlowRuns(Runs):
    """Renewing takes a moment. Notes how many claims each request renews."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.renewed: list[int] = []

    async def renew_all(self, claims: Sequence[Claim], lease_until: datetime) -> Sequence[Claim | StoreError]:
        self.renewed.append(len(claims))
        await asyncio.sleep(0.1)
        return await super().renew_all(claims, lease_until)


@virtual_time
async def test_claims_of_runs_that_begin_late_together_are_renewed_together() -> None:
    runs, clock = SlowRuns(), LoopClock()
    leases, job = RunLeases(runs, clock, "me"), entry().job
    now = clock.now()
    ending = [(ticket(f"job-{number}"), now + timedelta(seconds=5)) for number in range(50)]
    claims = [claim for claim in await runs.claim_all(ending, "me", now) if isinstance(claim, Claim)]
    for claim in claims:
        leases.add(claim, job)

    await asyncio.gather(*(leases.ensure_covers_run(claim, job) for claim in claims))

    assert runs.renewed == [1, 49] or runs.renewed == [50]
    assert all(leases.current_claim(claim).lease_until > now + timedelta(seconds=50) for claim in claims)


@virtual_time
async def test_a_request_may_be_sent_until_shortly_before_the_lease_ends() -> None:
    runs, clock = SlowRuns(), LoopClock()
    leases, now = RunLeases(runs, clock, "me"), clock.now()
    (claim,) = await runs.claim_all([(ticket(), now + timedelta(seconds=60))], "me", now)
    assert isinstance(claim, Claim)
    leases.add(claim, entry().job)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)

    allowed = []
    for seconds in (60 - MIN_LEASE_LEFT_TO_SEND_S, 0.001):
        loop.skip(seconds)  # without a turn of the loop, in which the lease would be renewed
        allowed.append(leases.may_send(claim.ticket.id))

    assert allowed == [True, False]


@virtual_time
async def test_nothing_may_be_sent_for_a_run_that_this_process_does_not_hold_any_more() -> None:
    runs, clock = SlowRuns(), LoopClock()
    leases, job = RunLeases(runs, clock, "me"), entry().job
    (claim,) = await runs.claim_all([(ticket(), clock.now() + timedelta(seconds=600))], "me", clock.now())
    assert isinstance(claim, Claim)
    leases.add(claim, job)
    await runs.release(claim)
    await runs.claim_all([(ticket(), clock.now() + timedelta(seconds=600))], "other", clock.now())
    leases.remove(claim.ticket.id)

    assert not leases.may_send(claim.ticket.id)
    with pytest.raises(ClaimLost):
        await leases.ensure_covers_run(claim, job)


class CountingRuns(Runs):
    """Notes how many claims each request releases or deletes."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.given_up: list[int] = []

    async def release_all(self, claims: Sequence[Claim]) -> Sequence[StoreError | None]:
        self.given_up.append(len(claims))
        return await super().release_all(claims)

    async def delete_all_claimed(self, claims: Sequence[Claim]) -> Sequence[StoreError | None]:
        self.given_up.append(len(claims))
        return await super().delete_all_claimed(claims)


async def claimed(runs: Runs, clock: LoopClock, count: int) -> tuple[TicketClaimer, list[Claim]]:
    """A claimer that holds the claims of so many runs."""
    leases, registry = RunLeases(runs, clock, "me"), RunRegistry(Cancellations(MemoryStore()), clock)
    claimer = TicketClaimer(Catalog([]), runs, leases, registry, clock)
    answers = await claimer.claim_batch([ticket(f"job-{number}") for number in range(count)])
    return claimer, [answer for answer in answers if isinstance(answer, Claim)]


@virtual_time
async def test_claims_that_are_released_at_the_same_time_share_a_few_requests() -> None:
    runs, clock = CountingRuns(MemoryStore()), LoopClock()
    claimer, claims = await claimed(runs, clock, 450)

    await asyncio.gather(*map(claimer.release_claim, claims))

    assert runs.given_up == [200, 200, 50]
    assert {each.state for each in await runs.list_unfinished()} == {RunState.QUEUED}
    again = await claimer.claim_batch([claim.ticket for claim in claims])
    assert all(isinstance(answer, Claim) for answer in again)


@virtual_time
async def test_claims_of_runs_that_are_not_due_are_deleted_together() -> None:
    runs, clock = CountingRuns(MemoryStore()), LoopClock()
    claimer, claims = await claimed(runs, clock, 50)

    await claimer.delete_claims(claims)

    assert (runs.given_up, await runs.list_unfinished()) == ([50], [])


@virtual_time
async def test_of_many_claims_that_cannot_be_released_the_log_names_a_few(caplog: pytest.LogCaptureFixture) -> None:
    store, clock = MemoryStore(), LoopClock()
    claimer, claims = await claimed(Runs(store), clock, 100)
    store.breaks_after = 0

    await asyncio.gather(*map(claimer.release_claim, claims))

    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 6
    assert "could not release the claim of run job-0@" in warnings[0]
    assert warnings[-1] == "could not release the claims of 95 more runs; their leases expire instead"
