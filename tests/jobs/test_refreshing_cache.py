"""Values from afar are fetched once, kept, and outlive a source that is away."""

from __future__ import annotations

import asyncio

import pytest

from jobs import refreshing_cache
from jobs.refreshing_cache import FAILURE_CACHED_SECONDS, FetchedValue, RefreshingCache, ValueNotFound
from tests.config.clock import ManualClock


class Source:
    """Numbers its answers; `error` is raised instead while it is set, `gate` holds answers back."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def fetch(self, name: str) -> FetchedValue:
        self.asked += 1
        number = self.asked
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return FetchedValue(f"{name}-{number}", fresh_for=300, usable_for=3600)


class Gone(ValueNotFound):
    """What a source says of a value that was deleted."""


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def values(source: Source, clock: ManualClock) -> RefreshingCache:
    return RefreshingCache(source.fetch, clock)


async def test_a_fresh_value_is_not_fetched_again(values: RefreshingCache, source: Source, clock: ManualClock) -> None:
    assert await values.get("a") == "a-1"
    clock.passed = 299
    assert await values.get("a") == "a-1"
    assert source.asked == 1


async def test_a_value_is_renewed_when_it_is_not_fresh_any_more(values: RefreshingCache, clock: ManualClock) -> None:
    await values.get("a")
    clock.passed = 300
    assert await values.get("a") == "a-2"


async def test_many_callers_share_one_fetch(values: RefreshingCache, source: Source) -> None:
    assert await asyncio.gather(*(values.get("a") for _ in range(20))) == ["a-1"] * 20
    assert source.asked == 1


async def test_names_are_fetched_side_by_side(values: RefreshingCache) -> None:
    assert list(await asyncio.gather(values.get("a"), values.get("b"))) == ["a-1", "b-2"]


async def test_a_caller_who_stops_does_not_take_the_fetch_along(values: RefreshingCache, source: Source) -> None:
    source.gate = asyncio.Event()
    first = asyncio.create_task(values.get("a"))
    await asyncio.sleep(0)
    second = asyncio.create_task(values.get("a"))
    await asyncio.sleep(0)
    first.cancel()
    source.gate.set()
    assert await second == "a-1"


async def test_a_failure_is_instructed_to_each_caller_who_waits(values: RefreshingCache, source: Source) -> None:
    source.error = LookupError("the source is away")
    failures = await asyncio.gather(*(values.get("a") for _ in range(3)), return_exceptions=True)
    assert [str(failure) for failure in failures] == ["the source is away"] * 3
    assert source.asked == 1


async def test_a_failure_is_remembered_for_some_seconds(
    values: RefreshingCache, source: Source, clock: ManualClock
) -> None:
    source.error = LookupError("away")
    for _ in range(3):
        with pytest.raises(LookupError):
            await values.get("a")
    assert source.asked == 1
    clock.passed = FAILURE_CACHED_SECONDS
    source.error = None
    assert await values.get("a") == "a-2"


async def test_a_stored_value_outlives_a_source_that_is_unavailable(
    values: RefreshingCache, source: Source, clock: ManualClock
) -> None:
    await values.get("a")
    source.error = LookupError("away")
    clock.passed = 3599
    assert await values.get("a") == "a-1"
    (trouble,) = values.fetch_failures()
    assert (trouble.name, trouble.since, trouble.message, trouble.is_stale_value_used) == (
        "a",
        clock.now(),
        "away",
        True,
    )


async def test_a_stored_value_is_not_used_forever(values: RefreshingCache, source: Source, clock: ManualClock) -> None:
    await values.get("a")
    source.error = LookupError("away")
    clock.passed = 3600
    with pytest.raises(LookupError):
        await values.get("a")
    assert not values.fetch_failures()[0].is_stale_value_used


async def test_a_value_that_was_deleted_is_not_used_any_more(
    values: RefreshingCache, source: Source, clock: ManualClock
) -> None:
    await values.get("a")
    source.error = Gone("deleted")
    clock.passed = 300
    with pytest.raises(Gone):
        await values.get("a")


async def test_troubles_end_with_the_first_answer(values: RefreshingCache, source: Source, clock: ManualClock) -> None:
    source.error = LookupError("away")
    with pytest.raises(LookupError):
        await values.get("a")
    began = clock.now()
    clock.passed = 100
    with pytest.raises(LookupError):
        await values.get("a")
    assert values.fetch_failures()[0].since == began
    source.error = None
    clock.passed = 200
    await values.get("a")
    assert values.fetch_failures() == ()


async def test_a_slow_renewal_holds_no_run_up_for_long(
    values: RefreshingCache, source: Source, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing_cache, "RENEWAL_WAIT_SECONDS", 0.001)
    await values.get("a")
    clock.passed = 300
    source.gate = asyncio.Event()
    assert await values.get("a") == "a-1"
    source.gate.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await values.get("a") == "a-2"


async def test_closing_ends_what_is_being_fetched(values: RefreshingCache, source: Source) -> None:
    source.gate = asyncio.Event()
    waiting = asyncio.create_task(values.get("a"))
    await asyncio.sleep(0)
    await values.aclose()
    with pytest.raises(RuntimeError):
        await waiting


async def test_a_refused_value_is_fetched_again(values: RefreshingCache, source: Source) -> None:
    await values.get("a")
    assert await values.refresh_if_equal("a", "a-1")
    assert await values.get("a") == "a-2"


async def test_who_was_refused_an_older_value_than_the_stored_one_needs_no_fetch(
    values: RefreshingCache, source: Source
) -> None:
    await values.get("a")
    assert await values.refresh_if_equal("a", "a-0")
    assert source.asked == 1


async def test_refusals_at_the_same_time_share_one_fetch(values: RefreshingCache, source: Source) -> None:
    await values.get("a")
    assert await asyncio.gather(*(values.refresh_if_equal("a", "a-1") for _ in range(50))) == [True] * 50
    assert source.asked == 2


async def test_a_value_that_continues_being_refused_is_fetched_less_and_less_often(
    values: RefreshingCache, source: Source, clock: ManualClock
) -> None:
    value = await values.get("a")
    source.error = LookupError("away")
    asked: list[float] = []
    for tenth in range(1500):
        clock.passed = tenth / 10
        before = source.asked
        assert not await values.refresh_if_equal("a", value)
        if source.asked > before:
            asked.append(clock.passed)
    assert asked == [0, 2, 6, 14, 30, 62, 122]


@pytest.mark.parametrize(("lasting", "fetched"), [(True, 3), (False, 2)])
async def test_a_value_that_was_changed_a_second_time_at_once_is_fetched_again_from_where_values_last(
    lasting: bool, fetched: int, source: Source, clock: ManualClock
) -> None:
    """Tokens are others each time: that one is another one says nothing of the refusal."""
    values = RefreshingCache(source.fetch, clock, is_stable=lasting)
    await values.get("a")
    assert await values.refresh_if_equal("a", "a-1")
    clock.passed += 1

    assert await values.refresh_if_equal("a", "a-2") is lasting
    assert source.asked == fetched


async def test_a_dropped_value_is_fetched_at_the_next_use_and_used_on_while_the_source_is_unavailable(
    values: RefreshingCache, source: Source
) -> None:
    await values.get("a")
    source.error = LookupError("away")
    values.mark_stale("a")
    assert await values.get("a") == "a-1"
    source.error = None
    values.mark_stale("a")
    values.mark_stale("unknown")
    assert await values.get("a") == "a-3"


async def test_it_is_known_when_a_value_was_fetched(values: RefreshingCache, clock: ManualClock) -> None:
    assert values.read_at("a") is None
    clock.passed = 5
    await values.get("a")
    assert values.read_at("a") == clock.now()
    assert values.names() == ("a",)
