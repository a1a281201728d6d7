"""Slots, on every store: taken, renewed, given back, and taken over when their time has passed."""

from __future__ import annotations

import asyncio

import pytest

from scheduler.stores.port import Store, StoreUnavailable
from scheduler.stores.slots import GroupFull, Slots
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.memory import MemoryData, MemoryStore
from tests.scheduler.stores.samples import at

GROUP = "group~checkout"


async def test_as_many_runs_have_a_slot_as_the_limit_allows(store: Store) -> None:
    slots = Slots(store, "me")

    assert await slots.acquire(GROUP, 2, "a", at(60), at(0)) is None
    assert await slots.acquire(GROUP, 2, "b", at(60), at(0)) is None
    full = await slots.acquire(GROUP, 2, "c", at(60), at(0))

    assert full is not None
    assert sorted(full.holders) == ["a", "b"]
    assert await slots.acquire("group~other", 2, "c", at(60), at(0)) is None


async def test_a_slot_that_is_released_is_the_next_runs(open_store: OpenStore) -> None:
    one, other = Slots(await open_store(), "one"), Slots(await open_store(), "other")
    await one.acquire(GROUP, 1, "a", at(60), at(0))
    await one.release(GROUP, "a")

    assert await other.acquire(GROUP, 1, "b", at(60), at(0)) is None
    assert await one.acquire(GROUP, 1, "c", at(60), at(0)) == GroupFull(("b",))


async def test_a_slot_whose_time_has_passed_is_taken_over(open_store: OpenStore) -> None:
    dead, other = Slots(await open_store(), "dead"), Slots(await open_store(), "other")
    await dead.acquire(GROUP, 1, "a", at(60), at(0))

    assert await other.acquire(GROUP, 1, "b", at(119), at(59)) == GroupFull(("a",))
    assert await other.acquire(GROUP, 1, "b", at(120), at(60)) is None


async def test_giving_back_what_was_taken_over_takes_nothing_from_the_new_holder(open_store: OpenStore) -> None:
    slow, other = Slots(await open_store(), "slow"), Slots(await open_store(), "other")
    await slow.acquire(GROUP, 1, "a", at(60), at(0))
    await other.acquire(GROUP, 1, "b", at(200), at(61))

    await slow.release(GROUP, "a")
    await slow.renew(at(240))

    assert await slow.acquire(GROUP, 1, "c", at(130), at(70)) == GroupFull(("b",))


async def test_a_run_may_request_its_slot_again_and_give_it_back_twice(store: Store) -> None:
    slots = Slots(store, "me")
    for _ in range(2):
        assert await slots.acquire(GROUP, 1, "a", at(60), at(0)) is None
    for _ in range(2):
        await slots.release(GROUP, "a")

    assert await slots.acquire(GROUP, 1, "b", at(60), at(0)) is None


async def test_a_slot_that_is_renewed_is_held_for_longer(open_store: OpenStore) -> None:
    long, other = Slots(await open_store(), "long"), Slots(await open_store(), "other")
    await long.acquire(GROUP, 1, "a", at(60), at(0))
    await long.acquire("running", 9, "a", at(60), at(0))

    await long.renew(at(60))

    assert await other.acquire(GROUP, 1, "b", at(160), at(100)) == GroupFull(("a",))
    assert await other.acquire(GROUP, 1, "b", at(160), at(120)) is None


async def test_a_slot_that_does_not_last_long_enough_is_lengthened_when_its_run_requests_again(
    open_store: OpenStore,
) -> None:
    one, other = Slots(await open_store(), "one"), Slots(await open_store(), "other")
    await one.acquire(GROUP, 1, "a", at(60), at(0))

    assert await one.acquire(GROUP, 1, "a", at(90), at(30), needed_until=at(60)) is None

    assert await other.acquire(GROUP, 1, "b", at(200), at(80)) == GroupFull(("a",))


async def test_a_slot_that_was_lost_is_not_the_runs_when_it_requests_again(open_store: OpenStore) -> None:
    one, other = Slots(await open_store(), "one"), Slots(await open_store(), "other")
    await one.acquire(GROUP, 1, "a", at(60), at(0))
    await other.acquire(GROUP, 1, "b", at(200), at(80))

    assert await one.acquire(GROUP, 1, "a", at(150), at(90)) == GroupFull(("b",))


async def test_a_renewal_extends_each_slot_by_the_lease_that_it_was_acquired_for(open_store: OpenStore) -> None:
    one, other = Slots(await open_store(), "one"), Slots(await open_store(), "other")
    await one.acquire(GROUP, 2, "a", at(60), at(0))
    await one.acquire(GROUP, 2, "b", at(100), at(0))

    await one.renew(at(50))

    assert await other.acquire(GROUP, 2, "c", at(170), at(109)) is not None
    assert await other.acquire(GROUP, 2, "c", at(170), at(110)) is None
    assert await other.acquire(GROUP, 2, "d", at(210), at(149)) is not None
    assert await other.acquire(GROUP, 2, "d", at(210), at(150)) is None


async def test_the_slot_of_a_run_that_is_taken_over_from_a_dead_process_follows(open_store: OpenStore) -> None:
    dead, other = Slots(await open_store(), "dead"), Slots(await open_store(), "other")
    await dead.acquire(GROUP, 1, "a", at(60), at(0))

    assert await other.acquire(GROUP, 1, "a", at(70), at(10)) is None


async def test_a_slot_is_not_accepted_from_another_process_by_a_run_that_is_not_claimed(open_store: OpenStore) -> None:
    one, other = Slots(await open_store(), "one"), Slots(await open_store(), "other")
    await one.acquire(GROUP, 2, "a", at(60), at(0), claimed=False)

    assert await other.acquire(GROUP, 2, "a", at(70), at(10), claimed=False) == GroupFull(("a",))
    assert await other.acquire(GROUP, 2, "a", at(130), at(70), claimed=False) is None


async def test_of_many_who_take_slots_at_once_as_many_get_one_as_there_are(open_store: OpenStore) -> None:
    both = [Slots(await open_store(), "one"), Slots(await open_store(), "other")]
    ends = await asyncio.gather(
        *(both[number % 2].acquire(GROUP, 3, f"run{number}", at(60), at(0)) for number in range(8))
    )

    assert sum(end is None for end in ends) == 3


async def test_a_run_that_gave_its_slot_back_makes_way_in_the_same_process_without_looking() -> None:
    store = MemoryStore()
    slots = Slots(store, "me")
    await slots.acquire(GROUP, 1, "a", at(60), at(0))
    await slots.release(GROUP, "a")
    before = store.reads

    assert await slots.acquire(GROUP, 1, "b", at(60), at(0)) is None
    assert store.reads == before


class Unanswered(MemoryStore):
    """Makes each change; while `mute` it says that the store was away."""

    mute = False

    async def apply(self, *changes):  # type: ignore[no-untyped-def]  # as its base
        answer = await super().apply(*changes)
        if self.mute:
            raise StoreUnavailable("no answer")
        return answer


async def test_a_slot_that_was_acquired_without_an_answer_is_the_runs_at_its_next_try() -> None:
    store = Unanswered()
    slots = Slots(store, "me")
    store.mute = True
    with pytest.raises(StoreUnavailable):
        await slots.acquire(GROUP, 1, "a", at(60), at(0))
    store.mute = False

    assert await slots.acquire(GROUP, 1, "a", at(60), at(0)) is None


async def test_a_slot_that_was_acquired_without_an_answer_is_released() -> None:
    store = Unanswered()
    slots = Slots(store, "me")
    store.mute = True
    with pytest.raises(StoreUnavailable):
        await slots.acquire(GROUP, 1, "a", at(60), at(0))
    store.mute = False

    await slots.release(GROUP, "a")

    assert await slots.acquire(GROUP, 1, "b", at(60), at(0)) is None


async def test_a_slot_whose_renewal_got_no_answer_can_be_released_and_renewed() -> None:
    store = Unanswered()
    slots = Slots(store, "me")
    for run_id in ("a", "b"):
        await slots.acquire(GROUP, 2, run_id, at(60), at(0))
    store.mute = True
    await slots.renew(at(60))
    store.mute = False

    await slots.release(GROUP, "a")
    await slots.renew(at(120))

    other = Slots(MemoryStore(store.data), "other")
    assert await other.acquire(GROUP, 2, "c", at(200), at(150)) is None
    assert await other.acquire(GROUP, 2, "d", at(200), at(150)) == GroupFull(("b", "c"))


async def test_a_slot_that_cannot_be_released_while_the_store_is_unavailable_is_released_later() -> None:
    data = MemoryData()
    store = MemoryStore(data)
    slots = Slots(store, "me")
    await slots.acquire(GROUP, 1, "a", at(60), at(0))
    store.breaks_after = 0
    await slots.release(GROUP, "a")
    await slots.renew(at(1))
    store.breaks_after = None
    other = Slots(MemoryStore(data), "other")
    assert await other.acquire(GROUP, 1, "b", at(61), at(1)) == GroupFull(("a",))

    assert slots.needs_renewal
    await slots.renew(at(1))

    assert not slots.needs_renewal
    assert await other.acquire(GROUP, 1, "b", at(61), at(1)) is None
