"""Heartbeats on every store: nothing is lost between processes, and no more than a hundred pings are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from jobs.heartbeat import HeartbeatRecord, HeartbeatState, Ping, PingSignal
from scheduler.stores import heartbeats as module
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.port import Store, StoreUnavailable
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.memory import MemoryData, MemoryStore
from tests.scheduler.stores.samples import NOON


def ping(
    signal: PingSignal = PingSignal.SUCCESS, seconds: float = 0, **more: object
) -> Callable[[HeartbeatRecord], Ping]:
    return lambda _: Ping(NOON + timedelta(seconds=seconds), signal, **more)  # type: ignore[arg-type]


async def test_without_a_ping_it_is_new(store: Store) -> None:
    beats = Heartbeats(store)
    assert await beats.beat("nightly") == HeartbeatRecord()
    assert await beats.list_pings("nightly") == []


async def test_everything_of_a_ping_exists_for_another_process(open_store: OpenStore) -> None:
    first, second = Heartbeats(await open_store()), Heartbeats(await open_store())
    await first.add("nightly", ping(PingSignal.START, run="r1"))
    before, now = await first.add(
        "nightly",
        ping(PingSignal.FAIL, 9, exit_code=3, run="r1", source="10.0.0.1", agent="curl/8", body="grüße\n" * 999),
    )
    assert (before.last_start, now.state, now.duration_s) == (NOON, HeartbeatState.DOWN, 9.0)
    assert await second.beat("nightly") == now
    end, start = await second.list_pings("nightly")
    assert (end.number, end.signal, end.exit_code, end.body) == (2, PingSignal.FAIL, 3, "grüße\n" * 999)
    assert (start.number, start.signal, start.run) == (1, PingSignal.START, "r1")


async def test_pings_at_the_same_time_are_all_counted(open_store: OpenStore) -> None:
    processes = [Heartbeats(await open_store()) for _ in range(2)]
    await asyncio.gather(*(processes[n % 2].add("nightly", ping(seconds=n)) for n in range(12)))
    assert (await processes[0].beat("nightly")).number == 12
    assert {one.number for one in await processes[1].list_pings("nightly")} == set(range(1, 13))


async def test_jobs_do_not_see_each_others_pings(store: Store) -> None:
    beats = Heartbeats(store)
    await beats.add("a", ping())
    assert (await beats.beat("b"), await beats.list_pings("b")) == (HeartbeatRecord(), [])


async def test_only_the_last_pings_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore(MemoryData())
    beats = Heartbeats(store)
    for n in range(module.PINGS_PER_JOB + 5):
        await beats.add("nightly", ping(seconds=n))
    stored = await beats.list_pings("nightly")
    assert [one.number for one in stored] == list(range(module.PINGS_PER_JOB + 5, 5, -1))
    assert len(await store.list_rows(module.HEARTBEATS_TABLE, "nightly", limit=1000)) == module.PINGS_PER_JOB + 1
    assert [one.number for one in await beats.list_pings("nightly", 2)] == [105, 104]


async def test_it_stops_when_others_are_always_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_TRIES", 2)
    beats = Heartbeats(MemoryStore(MemoryData()))
    other = Heartbeats(beats._store)

    async def slow_apply(*changes: object) -> None:
        raise module.RowChanged("heartbeats", "nightly", "state")

    beats._store.apply = slow_apply  # type: ignore[assignment, method-assign]
    with pytest.raises(StoreUnavailable, match="too many pings of nightly"):
        await beats.add("nightly", ping())
    assert (await other.beat("nightly")).number == 0
