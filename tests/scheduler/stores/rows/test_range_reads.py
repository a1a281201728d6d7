"""Ranges of keys that are read together have the rows that each of them has."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.stores.port import Insert, Row, Store
from scheduler.stores.runs.rollups import reading
from scheduler.stores.runs.rollups.reading import RANGES_AT_ONCE, ROWS_PER_PAGE, KeyRange, iterate_ranges
from tests.scheduler.stores.memory import MemoryStore

Keys = dict[int, Sequence[str]]


def key_of(number: int) -> str:
    return f"k{number:05d}"


async def stored(numbers: Sequence[int], store: Store | None = None) -> Store:
    store = store or MemoryStore()
    for start in range(0, len(numbers), 100):
        await store.apply(*(Insert("t", "p", key_of(number), "{}") for number in numbers[start : start + 100]))
    return store


async def read_together(store: Store, ranges: Sequence[KeyRange]) -> Keys:
    found: Keys = {}
    async for some in iterate_ranges(store, "t", "p", ranges):
        for number, rows in some:
            assert number not in found
            found[number] = keys_of(rows)
    return found


async def read_singly(store: Store, ranges: Sequence[KeyRange]) -> Keys:
    found = [
        keys_of(await store.list_rows("t", "p", after=each.after, until=each.until, limit=1000)) for each in ranges
    ]
    return {number: keys for number, keys in enumerate(found) if keys}


def keys_of(rows: Sequence[Row]) -> Sequence[str]:
    return [row.key for row in rows]


@given(
    numbers=st.sets(st.integers(0, 80)),
    bounds=st.lists(st.integers(0, 80), unique=True, max_size=40).map(sorted),
    page=st.integers(1, 7),
    others=st.integers(0, 3),
)
async def test_each_range_has_the_rows_of_its_own_read(
    numbers: set[int], bounds: list[int], page: int, others: int
) -> None:
    store = await stored(sorted(numbers))
    ranges = [KeyRange(key_of(first), key_of(last)) for first, last in zip(bounds[::2], bounds[1::2], strict=False)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "ROWS_PER_PAGE", page)
        patch.setattr(reading, "MAX_OTHER_ROWS", others)
        patch.setattr(reading, "RANGES_AT_ONCE", 2)
        assert await read_together(store, ranges) == await read_singly(store, ranges)


async def test_every_store_reads_ranges_together(store: Store) -> None:
    await stored(range(0, 700, 2), store)
    ranges = [KeyRange(key_of(start), key_of(start + 5)) for start in range(0, 700, 10)]
    assert await read_together(store, ranges) == await read_singly(store, ranges)


@pytest.mark.parametrize("number", [1, 1000])
async def test_ranges_without_rows_are_one_read(number: int) -> None:
    store = MemoryStore()
    assert not await read_together(store, [KeyRange(key_of(each), key_of(each + 1)) for each in range(number)])
    assert store.reads == 1


async def test_neighbouring_ranges_are_read_by_pages() -> None:
    store = await stored(range(3000))
    assert isinstance(store, MemoryStore)
    ranges = [KeyRange(key_of(start), key_of(start + 3)) for start in range(0, 3000, 3)]
    assert len(await read_together(store, ranges)) == 1000
    assert store.reads <= 3000 / ROWS_PER_PAGE + 1


async def test_ranges_far_apart_are_hardly_more_reads_than_one_by_one() -> None:
    apart, number = 60, 100
    store = await stored(range(apart * number))
    assert isinstance(store, MemoryStore)
    ranges = [KeyRange(key_of(start), key_of(start + 2)) for start in range(0, apart * number, apart)]
    assert len(await read_together(store, ranges)) == number
    assert store.reads <= number * (1 + 1 / RANGES_AT_ONCE) + 1
