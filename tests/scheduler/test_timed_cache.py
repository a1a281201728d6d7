"""scheduler.timed_cache computes a value once for all that request it meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from scheduler.timed_cache import TimedCache
from tests.scheduler.fakes import VirtualClock


class Computation:
    """Takes some seconds, or fails."""

    def __init__(self, clock: VirtualClock, seconds: float = 1.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self.calls = 0
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.calls += 1
        await self.clock.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return self.calls


def opened(seconds: float = 1.0) -> tuple[TimedCache[int], Computation]:
    clock = VirtualClock()
    return TimedCache(clock, factor=4, max_seconds=30, size=2), Computation(clock, seconds)


async def test_requests_meanwhile_share_one_computation() -> None:
    cache, compute = opened()
    assert await asyncio.gather(*(cache.get("page", 0, compute) for _ in range(5))) == [1] * 5


@pytest.mark.parametrize(("seconds", "least", "cached_for"), [(1.0, 0.0, 4.0), (1.0, 10.0, 10.0), (20.0, 0.0, 30.0)])
async def test_a_value_is_cached_for_a_multiple_of_its_time(seconds: float, least: float, cached_for: float) -> None:
    cache, compute = opened(seconds)
    await cache.get("page", least, compute)
    await compute.clock.sleep(cached_for - 0.5)
    assert await cache.get("page", least, compute) == 1
    await compute.clock.sleep(1.0)
    assert await cache.get("page", least, compute) == 2


async def test_an_error_reaches_all_that_wait_and_is_not_cached() -> None:
    cache, compute = opened()
    compute.error = LookupError("the store")
    answers = await asyncio.gather(*(cache.get("page", 9, compute) for _ in range(2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [LookupError, LookupError]
    compute.error = None
    assert await cache.get("page", 9, compute) == 2


async def test_the_values_of_the_last_keys_are_cached() -> None:
    cache, compute = opened()
    for key in ("one", "two", "three"):
        await cache.get(key, 100, compute)
    assert await cache.get("three", 100, compute) == 3
    assert await cache.get("one", 100, compute) == 4


async def test_a_closed_cache_computes_nothing_more() -> None:
    cache, _ = opened()
    never = asyncio.Event()

    async def wait() -> int:
        await never.wait()
        return 0

    request = asyncio.ensure_future(cache.get("page", 0, wait))
    await asyncio.sleep(0)
    await cache.aclose()
    with pytest.raises(asyncio.CancelledError):
        await request


class CountedKey:
    """A key that is long to hash, such as the names of all jobs."""

    hashes = 0

    def __hash__(self) -> int:
        self.hashes += 1
        return 1


async def test_the_keys_of_other_values_are_not_hashed_again() -> None:
    cache, compute = opened()
    key = CountedKey()
    await cache.get(key, 100, compute)
    before = key.hashes
    await cache.get("page", 100, compute)
    assert key.hashes == before
