"""A table of values keeps every concurrent change, and deletes no more than it is told, on every store."""

from __future__ import annotations

import asyncio

from scheduler.stores.port import Store
from scheduler.stores.rows import decode_body, encode_json
from scheduler.stores.table import Table
from tests.scheduler.stores.conftest import OpenStore


def numbers(store: Store) -> Table[int]:
    return Table(store, "numbers", "all", encode_json, decode_body)


async def test_each_of_many_concurrent_updates_of_a_row_is_made_once(open_store: OpenStore) -> None:
    processes = [numbers(await open_store()) for _ in range(3)]
    updates = [process.update("count", lambda value: (value or 0) + 1) for process in processes for _ in range(4)]
    answers = await asyncio.gather(*updates)
    assert sorted(after or 0 for _, after in answers) == [*range(1, 13)]
    assert await processes[0].find("count") == 12


async def test_an_update_that_changes_nothing_writes_nothing(store: Store) -> None:
    table = numbers(store)
    etag = await table.write("count", 7, None)
    assert await table.update("count", lambda value: value) == (7, 7)
    assert await table.update("count", lambda value: None) == (7, None)
    stored = await table.get("count")
    assert stored is not None
    assert stored.etag == etag


async def test_a_writer_that_was_not_first_is_told(store: Store) -> None:
    table = numbers(store)
    first = await table.try_write("count", 1, None)
    assert await table.try_write("count", 2, None) is None
    assert await table.try_write("count", 3, first) is not None
    assert await table.try_write("count", 4, first) is None
    assert await table.find("count") == 3


async def test_a_range_is_deleted_from_its_beginning_up_to_the_limit(store: Store) -> None:
    table = numbers(store)
    for number in range(130):
        await table.store(f"{number:03d}", number)
    assert await table.remove_range(after="001", until="100", limit=3) == 3
    assert await table.list_values(until="008") == [0, 1, 5, 6, 7]
    assert await table.remove_range(after="001") == 125
    assert await table.list_keys() == ["000", "001"]
