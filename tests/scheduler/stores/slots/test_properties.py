"""Slots under anything: processes that take, renew and give back in any order, die, and get no answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.stores.port import Change, StoreError, StoreUnavailable
from scheduler.stores.slots import Slots
from tests.scheduler.stores.memory import MemoryData, MemoryStore
from tests.scheduler.stores.samples import at

GROUP, LEASE = "group~checkout", 60.0


class Flaky(MemoryStore):
    """Lets others go on between a call and its change, and between the change and its answer; some get no answer."""

    def __init__(self, data: MemoryData, luck: Random, trouble: float) -> None:
        super().__init__(data)
        self._luck, self._trouble = luck, trouble

    async def apply(self, *changes: Change) -> tuple[str, ...]:
        await self._others()
        if self._luck.random() < self._trouble / 2:
            raise StoreUnavailable("away")
        answer = await super().apply(*changes)
        await self._others()
        if self._luck.random() < self._trouble / 2:
            raise StoreUnavailable("no answer")
        return answer

    async def _others(self) -> None:
        for _ in range(self._luck.randrange(3)):
            await asyncio.sleep(0)


@dataclass
class Room:
    """Who believes to hold a slot, and until when; the most that did at a time."""

    now: float = 0.0
    inside: dict[str, float] = field(default_factory=dict)
    most: int = 0

    def enter(self, run_id: str, until: float) -> None:
        self.inside[run_id] = until
        self.most = max(self.most, sum(end > self.now for end in self.inside.values()))

    def time(self) -> datetime:
        return at(self.now)


async def _life(room: Room, slots: Slots, limit: int, luck: Random, run_id: str) -> None:
    """One run: tries, stays for a while (and perhaps renews), and leaves; or its process dies."""
    for _ in range(6):
        room.now += luck.choice((0.0, 1.0, 20.0))
        until = room.now + LEASE
        try:
            full = await slots.acquire(GROUP, limit, run_id, at(until), room.time())
        except StoreError:
            continue
        if full is not None:
            continue
        # What an answer that took long is worth, the gate sees as well: see SlotGate.
        if until <= room.now:
            continue
        room.enter(run_id, until)
        for _ in range(luck.randrange(4)):
            await asyncio.sleep(0)
        if luck.random() < 0.2:
            return  # its process died
        del room.inside[run_id]
        for _ in range(luck.choice((1, 2))):
            await slots.release(GROUP, run_id)
        return
    await slots.release(GROUP, run_id)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    limit=st.integers(1, 3),
    processes=st.integers(1, 3),
    runs=st.integers(1, 8),
    trouble=st.sampled_from([0.0, 0.2]),
)
def test_never_more_runs_than_the_limit_hold_a_live_slot(
    seed: int, limit: int, processes: int, runs: int, trouble: float
) -> None:
    luck, data, room = Random(seed), MemoryData(), Room()

    async def all_of_them() -> None:
        slots = [Slots(Flaky(data, luck, trouble), f"p{number}") for number in range(processes)]
        await asyncio.gather(*(_life(room, luck.choice(slots), limit, luck, f"run{number}") for number in range(runs)))

    asyncio.run(all_of_them())

    assert room.most <= limit


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), limit=st.integers(1, 3), trouble=st.sampled_from([0.0, 0.3]))
def test_after_everything_is_over_every_slot_can_be_had(seed: int, limit: int, trouble: float) -> None:
    """Those that were given back at once, those of dead processes when their time has passed."""
    luck, data, room = Random(seed), MemoryData(), Room()

    async def all_of_them() -> int:
        slots = [Slots(Flaky(data, luck, trouble), f"p{number}") for number in range(2)]
        await asyncio.gather(*(_life(room, luck.choice(slots), limit, luck, f"run{number}") for number in range(5)))
        later = room.now + LEASE
        fresh = Slots(MemoryStore(data), "fresh")
        ends = [await fresh.acquire(GROUP, limit, f"new{n}", at(later + LEASE), at(later)) for n in range(limit + 1)]
        return sum(end is None for end in ends)

    assert asyncio.run(all_of_them()) == limit
