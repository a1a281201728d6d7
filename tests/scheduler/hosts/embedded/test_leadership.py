"""Of the processes that share a store one leads: on virtual time, with clocks that differ and processes that stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.health import HealthStatus
from scheduler.hosts.embedded.leadership import (
    RENEW_INTERVAL,
    STOPPED_FOR,
    TAKEOVER_AFTER,
    VALID_FOR,
    Leadership,
)
from scheduler.stores.leases import LeaderRow
from scheduler.stores.port import Change, Etags, Row, StoreUnavailable
from tests.jobs.running.virtual_time import LoopClock, virtual_time
from tests.scheduler.fakes import VirtualClock
from tests.scheduler.stores.memory import MemoryData, MemoryStore


class Peers:
    """Processes over one store. Each has its own monotonic clock, which goes on while it does nothing."""

    def __init__(self, number: int = 2) -> None:
        self.data = MemoryData()
        self.clock = VirtualClock()
        self.stores = [MemoryStore(self.data) for _ in range(number)]
        self.all = [
            Leadership(LeaderRow(store), f"process-{place}", self.clock) for place, store in enumerate(self.stores)
        ]

    async def tick(self, *places: int) -> list[bool]:
        for place in places:
            await self.all[place].tick()
        return self.leading

    async def pass_time(self, seconds: float, *places: int) -> list[bool]:
        """These processes tick as they do by themselves; the others are stopped."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            await self.clock.sleep(RENEW_INTERVAL / 4)
            await self.tick(*places)
        return self.leading

    @property
    def leading(self) -> list[bool]:
        return [each.is_leading for each in self.all]


async def test_a_process_that_has_no_peers_leads_at_once_and_for_ever() -> None:
    alone = Leadership(None, "me", VirtualClock())
    assert (alone.is_leading, alone.is_shared, await alone.health()) == (True, False, ())
    await alone.tick()
    await alone.resign()
    assert alone.is_leading


async def test_the_first_process_leads_at_once_and_the_second_one_stands_by() -> None:
    peers = Peers()
    assert await peers.tick(0, 1) == [True, False]
    assert await peers.pass_time(60, 0, 1) == [True, False]
    (leads,), (stands_by,) = await peers.all[0].health(), await peers.all[1].health()
    assert (leads.message, stands_by.message) == (
        "this process leads",
        "process-0 leads, this process stands by",
    )


async def test_another_process_leads_soon_after_the_leader_stopped() -> None:
    peers = Peers()
    await peers.tick(0, 1)
    assert await peers.pass_time(TAKEOVER_AFTER - 0.5, 1) == [False, False]
    (health,) = await peers.all[1].health()
    assert (health.status, health.message) == (
        HealthStatus.DEGRADED,
        "no process leads: one takes over within seconds",
    )
    assert await peers.pass_time(1.5, 1) == [False, True]


async def test_the_successor_knows_that_the_leader_stopped_and_relies_on_it_only_for_a_while() -> None:
    peers = Peers(3)
    await peers.tick(0, 1, 2)
    await peers.pass_time(TAKEOVER_AFTER + 1, 1, 2)
    assert peers.leading == [False, True, False]
    assert [peers.all[1].has_died(f"process-{place}") for place in range(3)] == [True, None, None]
    await peers.pass_time(STOPPED_FOR, 1, 2)
    assert peers.all[1].has_died("process-0") is None


async def test_a_leader_that_was_suspended_leads_no_more_before_it_does_anything() -> None:
    peers = Peers()
    await peers.tick(0, 1)
    await peers.pass_time(VALID_FOR, 1)
    assert not peers.all[0].is_leading
    await peers.pass_time(60, 1)
    assert await peers.tick(0) == [False, True]
    assert await peers.pass_time(60, 0, 1) == [False, True]


async def test_a_leader_that_resigns_is_followed_at_once_and_has_not_died() -> None:
    peers = Peers()
    await peers.tick(0, 1)
    await peers.all[0].resign()
    assert await peers.tick(1) == [False, True]
    assert peers.all[1].has_died("process-0") is None


async def test_a_leader_without_its_store_stops_by_itself_and_leads_again_when_it_is_back() -> None:
    peers = Peers()
    await peers.tick(0)
    peers.stores[0].breaks_after = 0
    await peers.pass_time(VALID_FOR + 1, 0)
    assert not peers.all[0].is_leading
    peers.stores[0].breaks_after = None
    await peers.pass_time(1, 0)
    assert peers.all[0].is_leading
    assert peers.all[0].has_died("process-0") is None


@given(st.lists(st.lists(st.integers(0, 2), max_size=3), min_size=1, max_size=60))
def test_never_two_processes_lead(steps: Sequence[Sequence[int]]) -> None:
    """Whoever ticks and whoever stops: half a second passes in each step."""

    async def play() -> None:
        peers = Peers(3)
        for places in steps:
            await peers.clock.sleep(0.5)
            for place in places:
                await peers.all[place].tick()
                assert sum(peers.leading) <= 1

    asyncio.run(play())


@dataclass
class Fault:
    """`delay`: seconds of a request of the store, None if it fails, by who makes it and when.

    `led`: the share of the time in which a process leads at least; `terms`: how often one took the lead at most.
    """

    delay: Callable[[int, float], float | None]
    led: float
    terms: int = 1


FAULTS = {
    "a quick store": Fault(lambda place, at: 0.05, 0.99),
    "a slow store": Fault(lambda place, at: 1.9, 0.98),
    "a very slow store": Fault(lambda place, at: 2.5, 0.5),
    "a store that is slow for one second in ten": Fault(lambda place, at: 3.0 if at % 10 < 1 else 0.1, 0.9),
    "a store that hardly answers": Fault(lambda place, at: 3.5, 0.1),
    "each third request fails": Fault(lambda place, at: None if round(at * 10) % 3 == 0 else 0.1, 0.98),
    "an outage of 30 seconds for all": Fault(lambda place, at: None if 60 <= at < 90 else 0.1, 0.8),
    "the leader alone has no store": Fault(lambda place, at: None if place == 0 and 60 <= at < 200 else 0.1, 0.95, 2),
}


@dataclass
class FaultyStore(MemoryStore):
    fault: Fault
    place: int
    data: MemoryData

    def __post_init__(self) -> None:
        super().__init__(self.data)

    async def apply(self, *changes: Change) -> Etags:
        await self._pass()
        return await super().apply(*changes)

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        await self._pass()
        return await super().get_row(table, partition, key)

    async def _pass(self) -> None:
        delay = self.fault.delay(self.place, asyncio.get_running_loop().time())
        await asyncio.sleep(0.05 if delay is None else delay)
        if delay is None:
            raise StoreUnavailable("no answer")


@pytest.mark.parametrize("name", FAULTS)
@virtual_time
async def test_the_lead_survives_what_a_loaded_machine_does_to_the_store(name: str) -> None:
    fault, data, clock = FAULTS[name], MemoryData(), LoopClock()
    peers = [Leadership(LeaderRow(FaultyStore(fault, place, data)), f"process-{place}", clock) for place in range(2)]
    tasks = [asyncio.create_task(each.run()) for each in peers]
    led = 0
    for _ in range(3000):
        await asyncio.sleep(0.1)
        leading = sum(each.is_leading for each in peers)
        assert leading <= 1
        led += leading
    for task in tasks:
        task.cancel()
    assert (led / 3000 >= fault.led, sum(each.term for each in peers) <= fault.terms) == (True, True), (
        led / 3000,
        [each.term for each in peers],
    )
