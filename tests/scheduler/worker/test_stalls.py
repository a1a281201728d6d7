"""Claims, and ticks, while the store stands still instead of refusing: on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest

from jobs.runs import Outcome, Ticket
from scheduler.stores.port import StoreError, StoreUnavailable
from scheduler.stores.runs.repository import AlreadyClaimed, Claim
from scheduler.worker.claims import STORE_STALL_AFTER
from scheduler.worker.options import FUNCTIONS_OPTIONS
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import WorkerHarness, entry
from tests.scheduler.functions_harness import FunctionsHarness


def stalls(shop: WorkerHarness, seconds: float, *, made: bool = False) -> list[int]:
    """The first claims fail after so many seconds. `made`: the store makes them all the same, after its answer was
    given up. Returns how many tickets each request has, as they come."""
    claim_all, requested = shop.runs.claim_all, list[int]()

    async def stalled(
        expected: Sequence[tuple[Ticket, datetime]], owner: str, now: datetime
    ) -> Sequence[Claim | AlreadyClaimed | StoreError]:
        requested.append(len(expected))
        if len(requested) > 1:
            return await claim_all(expected, owner, now)
        await asyncio.sleep(seconds)
        if made:
            await claim_all(expected, owner, now)
        return [StoreUnavailable("no answer came")] * len(expected)

    shop.runs.claim_all = stalled  # type: ignore[method-assign]  # stands in for a store that stands still
    return requested


@virtual_time
@pytest.mark.parametrize("made", [False, True], ids=["not made", "made late"])
async def test_claims_are_tried_once_more_together_after_a_stall(made: bool) -> None:
    jobs = [entry(f"j{number}") for number in range(5)]
    shop = WorkerHarness(jobs=jobs, ways=FUNCTIONS_OPTIONS, shared=True)
    requested = stalls(shop, 18.0, made=made)

    ends = await shop.worker.execute_batch([shop.ticket(5, job.job.name) for job in jobs])

    assert requested == [5, 5]
    assert [end for _, end in ends] == [None] * 5
    assert [event.run.outcome for event in shop.heard.finished] == [Outcome.SUCCEEDED] * 5


@virtual_time
async def test_claims_that_are_refused_at_once_are_left_to_the_next_delivery() -> None:
    shop = WorkerHarness(jobs=[entry("a")], ways=FUNCTIONS_OPTIONS, shared=True)
    requested = stalls(shop, STORE_STALL_AFTER / 2)

    ((_, end),) = await shop.worker.execute_batch([shop.ticket(5, "a")])

    assert (requested, type(end)) == ([1], StoreUnavailable)


@virtual_time
async def test_a_claim_that_another_delivery_has_here_is_not_counted_as_the_late_one() -> None:
    shop = WorkerHarness(jobs=[entry("a")], ways=FUNCTIONS_OPTIONS, shared=True)
    stalls(shop, 18.0)
    ticket = shop.ticket(25, "a")

    first = asyncio.ensure_future(shop.worker.execute_batch([ticket]))
    await asyncio.sleep(1)
    await shop.worker.execute_batch([ticket])
    ((_, end),) = await first

    assert isinstance(end, AlreadyClaimed)
    assert len(shop.heard.finished) == 1


@virtual_time
async def test_a_tick_whose_store_stands_still_plans_once_more_and_does_not_wait_for_the_next_one() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="every 20s")]))
    get, failures = functions.shop.cursors.read, [STORE_STALL_AFTER + 1.0]

    async def stalled(name: str) -> datetime | None:
        if failures:
            await asyncio.sleep(failures.pop())
            raise StoreUnavailable("no answer came")
        return await get(name)

    functions.shop.cursors.read = stalled  # type: ignore[method-assign]  # stands in for a store that stands still

    assert await functions.ticks.plan_ahead_with_retry() > 0


@virtual_time
async def test_a_tick_whose_store_refuses_is_left_to_the_next_one() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="every 20s")]))

    async def unavailable(name: str) -> datetime | None:
        raise StoreUnavailable("the store is away")

    functions.shop.cursors.read = unavailable  # type: ignore[method-assign]  # stands in for a store that is away

    with pytest.raises(StoreUnavailable):
        await functions.ticks.plan_ahead_with_retry()
    assert functions.dispatch.sent == []
