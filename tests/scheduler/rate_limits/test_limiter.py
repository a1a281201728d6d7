"""What a limit allows, in one process and in several that share a store, and what it costs."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.rate_limits.limiter import LimitGroup, Quota, RateLimitRules, RateLimits
from scheduler.rate_limits.windows import LOCAL_PERIOD, MAX_WINDOWS, RATE_LIMITS_TABLE
from scheduler.stores.port import Change, Etags, Row, StoreUnavailable
from tests.jobs.running.virtual_time import VirtualTimeLoop, virtual_time
from tests.parts.proc import ROOT, clean_environment
from tests.scheduler.fakes import VirtualClock
from tests.scheduler.stores.memory import MemoryData, MemoryStore


class CountedStore(MemoryStore):
    """Counts its operations, and fails or hangs on demand."""

    def __init__(self, data: MemoryData | None = None) -> None:
        super().__init__(data)
        self.operations = 0
        self.fails = False
        self.hangs = False

    async def apply(self, *changes: Change) -> Etags:
        await self._operate()
        return await super().apply(*changes)

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        await self._operate()
        return await super().get_row(table, partition, key)

    async def _operate(self) -> None:
        self.operations += 1
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.sleep(3600)
        if self.fails:
            raise StoreUnavailable("the account does not answer")


def processes(
    number: int, limit: str, clock: VirtualClock, data: MemoryData | None = None
) -> tuple[list[RateLimits], list[CountedStore]]:
    data = data or MemoryData()
    stores = [CountedStore(data) for _ in range(number)]
    rules = RateLimitRules(read=limit, operate=limit, failed_authentication=limit)
    return [RateLimits(rules, clock, store) for store in stores], stores


async def count(limits: RateLimits, client: str = "deploy") -> Quota:
    quota = await limits.count(LimitGroup.READ, client)
    assert quota is not None
    return quota


async def allowed(limits: Sequence[RateLimits], requests: int) -> int:
    """How many of these requests, sent to each process in turn, are allowed."""
    quotas = [await count(limits[number % len(limits)]) for number in range(requests)]
    return sum(not quota.is_exceeded for quota in quotas)


async def test_a_window_allows_its_requests_and_the_next_one_as_many() -> None:
    clock = VirtualClock()
    limits = RateLimits(RateLimitRules(read="3/minute"), clock)
    quotas = [await count(limits) for _ in range(4)]

    assert [(quota.remaining, quota.is_exceeded) for quota in quotas] == [(2, False), (1, False), (0, False), (0, True)]
    assert {(quota.amount, quota.window, quota.reset_in) for quota in quotas} == {(3, 60, 60)}
    clock.move(59)
    assert (await count(limits)).is_exceeded
    clock.move(1)
    assert (await count(limits)).remaining == 2


async def test_principals_and_groups_are_counted_apart() -> None:
    limits = RateLimits(RateLimitRules(read="1/hour", operate="1/hour"), VirtualClock())
    assert not (await count(limits, "deploy")).is_exceeded
    assert not (await count(limits, "other")).is_exceeded
    operated = await limits.count(LimitGroup.OPERATE, "deploy")
    assert operated is not None
    assert not operated.is_exceeded
    assert (await count(limits, "deploy")).is_exceeded


async def test_a_limit_can_be_off() -> None:
    assert await RateLimits(RateLimitRules(), VirtualClock()).count(LimitGroup.READ, "deploy") is None


async def test_the_memory_of_windows_is_bounded() -> None:
    limits = RateLimits(RateLimitRules(read="1/day"), VirtualClock())
    for number in range(MAX_WINDOWS + 10):
        await count(limits, f"address:{number}")
    found = limits._limiter_of(LimitGroup.READ)
    assert found is not None
    assert len(found[1].storage._windows) == MAX_WINDOWS  # type: ignore[attr-defined]


@pytest.mark.parametrize("limit", [1, 2, 7, 20, 60, 600])
@pytest.mark.parametrize("number", [1, 2, 5])
async def test_processes_allow_exactly_the_limit_together(limit: int, number: int) -> None:
    clock = VirtualClock()
    limits, _ = processes(number, f"{limit}/minute", clock)
    for _ in range(3):
        assert await allowed(limits, number * (limit + 3)) == limit
        clock.move(60)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 200), st.lists(st.integers(0, 3), min_size=1, max_size=400), st.integers(0, 2**32))
def test_no_order_of_requests_exceeds_the_limit(limit: int, order: list[int], seed: int) -> None:
    async def run() -> None:
        clock = VirtualClock()
        limits, _ = processes(4, f"{limit}/minute", clock)
        quotas = await asyncio.gather(*(count(limits[each]) for each in order))
        assert sum(not quota.is_exceeded for quota in quotas) <= limit
        if len(order) <= limit // 2:
            assert not any(quota.is_exceeded for quota in quotas)

    random.seed(seed)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


@pytest.mark.parametrize("limit", ["5/minute", "20/minute", "120/minute", "600/minute"])
@pytest.mark.parametrize("seed", range(5))
async def test_a_client_that_obeys_the_fields_never_gets_429(limit: str, seed: int) -> None:
    clock = VirtualClock()
    limits, _ = processes(2, limit, clock)
    choose = random.Random(seed)
    windows = 0
    while windows < 5:
        quota = await count(choose.choice(limits))
        assert not quota.is_exceeded
        clock.move(choose.random() / 10)
        if quota.remaining == 0:
            clock.move(quota.reset_in)
            windows += 1


@pytest.mark.parametrize("seed", range(5))
async def test_two_clients_of_one_principal_that_obey_get_no_429_from_their_process(seed: int) -> None:
    clock = VirtualClock()
    limits, _ = processes(2, "60/minute", clock)
    choose = random.Random(seed)
    waits = [0.0, 0.0]
    for _ in range(2000):
        client = choose.randrange(2)
        if clock.monotonic() < waits[client]:
            clock.move(0.5)
            continue
        quota = await count(limits[client])
        assert not quota.is_exceeded
        if quota.remaining == 0:
            waits[client] = clock.monotonic() + quota.reset_in


async def test_a_client_that_only_obeys_retry_after_gets_its_window_after_it() -> None:
    clock = VirtualClock()
    limits, _ = processes(2, "20/minute", clock)
    for _ in range(3):
        sent = 0
        while not (quota := await count(limits[sent % 2])).is_exceeded:
            sent += 1
        assert sent in (18, 19, 20)
        clock.move(quota.reset_in)


@pytest.mark.parametrize(("limit", "most"), [("600/minute", 0.1), ("120/minute", 0.4), ("60/minute", 0.6)])
async def test_a_request_costs_a_fraction_of_a_storage_operation(limit: str, most: float) -> None:
    clock = VirtualClock()
    limits, stores = processes(2, limit, clock)
    amount = int(limit.partition("/")[0])
    await allowed(limits, amount)

    assert sum(store.operations for store in stores) / amount < most


async def test_requests_beyond_the_limit_cost_one_read_a_second() -> None:
    clock = VirtualClock()
    limits, (store,) = processes(1, "20/minute", clock)
    await allowed(limits, 20)
    before = store.operations
    for _ in range(10):
        assert await allowed(limits, 100) == 0
        clock.move(1.0)

    assert store.operations - before <= 11


async def test_a_window_that_another_clock_has_ended_is_found_within_a_second() -> None:
    behind, ahead = VirtualClock(), VirtualClock()
    data = MemoryData()
    (first,), _ = processes(1, "5/minute", behind, data)
    (second,), _ = processes(1, "5/minute", ahead, data)
    assert await allowed([first], 6) == 5
    behind.move(59)
    ahead.move(60)
    assert await allowed([second], 1) == 1
    behind.move(0.5)

    assert await allowed([first], 1) == 1


async def test_without_the_store_each_process_counts_on_its_own_and_returns_to_it() -> None:
    clock = VirtualClock()
    limits, stores = processes(2, "20/minute", clock)
    for store in stores:
        store.fails = True
    assert await allowed(limits, 60) == 40
    assert [store.operations for store in stores] == [1, 1]

    for store in stores:
        store.fails = False
    clock.move(LOCAL_PERIOD)
    assert await allowed(limits, 60) == 20


async def test_a_store_that_is_lost_within_a_window_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    limits, (store,) = processes(1, "20/minute", clock)
    await count(limits[0])
    store.fails = True
    await asyncio.gather(*(count(limits[0]) for _ in range(20)))

    assert [record.getMessage() for record in caplog.records] == [
        "could not count requests in the store: the account does not answer; this process counts on its own for 10 s"
    ]


@virtual_time
async def test_a_store_that_hangs_delays_requests_only_once() -> None:
    limits, (store,) = processes(1, "20/minute", VirtualClock())
    store.hangs = True
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(count(limits[0]) for _ in range(10)))

    assert loop.time() - began == 2.0


async def test_a_row_holds_no_name_of_a_client() -> None:
    data = MemoryData()
    (limits,), _ = processes(1, "20/minute", VirtualClock(), data)
    await count(limits, "api_key:payments-deploy")

    ((table, partition, key),) = data.rows
    assert (table, partition) == (RATE_LIMITS_TABLE, "read")
    assert "payments" not in key
    assert "payments" not in data.rows[table, partition, key].body


def test_the_library_is_imported_with_the_first_request_only() -> None:
    script = "import sys, scheduler.rate_limits.limiter, scheduler.api.lazy_app; print('limits' in sys.modules)"
    done: Any = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=clean_environment(), capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
