"""A process may end between any two changes of an apply (on Azure): the next one goes on from what is there."""

from __future__ import annotations

import pytest

from jobs.runs import Outcome
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.run_keys import OPEN, TIMELINE
from scheduler.stores.runs import Claim, Held, Runs, RunState
from tests.scheduler.stores.memory import MemoryData, MemoryStore
from tests.scheduler.stores.samples import LEASE, NOON, at, run_of, ticket


async def claimed(runs: Runs, owner: str = "one", seconds: float = 0) -> Claim:
    claim = await runs.claim(ticket(), owner, at(seconds) + LEASE, at(seconds))
    assert isinstance(claim, Claim)
    return claim


def open_pointers(data: MemoryData) -> int:
    return sum((table, partition) == (TIMELINE, OPEN) for table, partition, _ in data.rows)


@pytest.mark.parametrize("survived", [0, 1])
async def test_a_claim_that_was_cut_short_is_claimed_again(survived: int) -> None:
    data = MemoryData()
    with pytest.raises(StoreUnavailable):
        await claimed(Runs(MemoryStore(data, breaks_after=survived)))
    runs = Runs(MemoryStore(data))
    assert await runs.unfinished() == []
    assert (await runs.list()).records == ()
    await runs.finish(await claimed(runs, "two"), run_of(ticket()))
    assert open_pointers(data) == 0


@pytest.mark.parametrize("survived", [0, 1])
async def test_a_request_that_was_cut_short_can_be_repeated(survived: int) -> None:
    data = MemoryData()
    with pytest.raises(StoreUnavailable):
        await Runs(MemoryStore(data, breaks_after=survived)).enqueue(ticket())
    runs = Runs(MemoryStore(data))
    assert (await runs.enqueue(ticket())).state is RunState.QUEUED
    assert len(await runs.unfinished()) == 1


@pytest.mark.parametrize("survived", [0, 1, 2, 3])
@pytest.mark.parametrize("healed_by", ["claim", "unfinished", "repeating"])
async def test_a_finish_that_was_cut_short_is_completed(survived: int, healed_by: str) -> None:
    data = MemoryData()
    store = MemoryStore(data)
    dying = Runs(store)
    claim = await claimed(dying)
    store.breaks_after = survived
    with pytest.raises(StoreUnavailable):
        await dying.finish(claim, run_of(ticket()))
    store.breaks_after = None
    runs = Runs(MemoryStore(data))
    if healed_by == "repeating":
        # The store was away for a moment; the same process tries again.
        await dying.finish(claim, run_of(ticket()))
    elif healed_by == "claim":
        # The queue delivers the ticket again, after the lease.
        answer = await runs.claim(ticket(), "two", at(120), at(61))
        assert isinstance(answer, Claim if survived == 0 else Held)
        if isinstance(answer, Claim):
            await runs.finish(answer, run_of(ticket()))
    else:
        # The process starts again.
        for record in await runs.unfinished():
            assert survived == 0
            await runs.finish(await claimed(runs, "two", 61), run_of(record.ticket))
    assert [record.run for record in (await runs.list(outcome="succeeded")).records] == [run_of(ticket())]
    assert [record.run for record in (await runs.list()).records] == [run_of(ticket())]
    assert open_pointers(data) == 0


@pytest.mark.parametrize("survived", [1, 2, 3])
async def test_a_run_that_is_finished_but_not_yet_listed_is_never_listed_twice(survived: int) -> None:
    data = MemoryData()
    store = MemoryStore(data)
    runs = Runs(store)
    claim = await claimed(runs)
    store.breaks_after = survived
    with pytest.raises(StoreUnavailable):
        await runs.finish(claim, run_of(ticket()))
    after = Runs(MemoryStore(data))
    assert len((await after.list()).records) == (1 if survived == 3 else 0)
    assert (await after.list(outcome="running")).records == ()
    assert len((await after.list(job=ticket().job)).records) == 1


@pytest.mark.parametrize("survived", range(6))
async def test_deleting_that_was_cut_short_is_completed_by_the_next_round(survived: int) -> None:
    data = MemoryData()
    store = MemoryStore(data)
    runs = Runs(store)
    for seconds in range(3):
        claim = await runs.claim(ticket("a", seconds), "one", NOON + LEASE, NOON)
        assert isinstance(claim, Claim)
        await runs.finish(claim, run_of(ticket("a", seconds)))
    store.breaks_after = survived
    with pytest.raises(StoreUnavailable):
        await runs.prune(at(10 * 86400), 86400, 100)
    store.breaks_after = None
    assert all(record.run is not None for record in (await runs.list()).records)
    await runs.prune(at(10 * 86400), 86400, 100)
    assert data.rows == {}


async def test_a_pointer_without_a_run_is_swept_up_by_age() -> None:
    data = MemoryData()
    with pytest.raises(StoreUnavailable):
        await claimed(Runs(MemoryStore(data, breaks_after=1)))
    assert open_pointers(data) == 1
    await Runs(MemoryStore(data)).prune(at(3 * 86400), 86400, 100)
    assert data.rows == {}


async def test_a_late_owner_does_not_change_where_the_new_owners_run_is_listed() -> None:
    data = MemoryData()
    runs = Runs(MemoryStore(data))
    late, new = await claimed(runs), await claimed(runs, "two", 61)
    await runs.finish(new, run_of(ticket()))
    with pytest.raises(Exception, match="somebody else has the run"):
        await runs.finish(late, run_of(ticket(), Outcome.FAILED))
    assert [record.run for record in (await runs.list(outcome="succeeded")).records] == [run_of(ticket())]
    assert (await runs.list(outcome="failed")).records == ()
