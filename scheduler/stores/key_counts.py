"""Counts open runs and dead letters by keys alone: bodies are never read. Used by the watchdog."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from scheduler.stores.dead_letters.repository import DEAD_LETTERS_TABLE as LETTERS
from scheduler.stores.port import LARGEST_PAGE, Row, Store
from scheduler.stores.runs.keys import HISTORY_TABLE, OPEN_PREFIX, PREFIX_END, SHARD_NAMES, RunKey

_LETTERS_PARTITION = "letters"
MAX_COUNTED_PAGES = 5
"""Pages of a partition that are counted: 6,000 letters are reported as 5,000, and so are 6,000 open runs of one shard.
"""


@dataclass(frozen=True, slots=True)
class OpenRunCount:
    """Runs that are queued or running, of any process. `oldest_due_at`: the earliest due instant of those counted."""

    count: int
    oldest_due_at: datetime | None


async def count_open_runs(store: Store) -> OpenRunCount:
    """Count open runs; finished ones that are not acknowledged count as well. Raises StoreUnavailable."""
    found = await asyncio.gather(*(_list_due_instants(store, name) for name in SHARD_NAMES))
    instants = [due_at for some in found for due_at in some]
    return OpenRunCount(len(instants), min(instants, default=None))


async def _list_due_instants(store: Store, shard: str) -> Sequence[datetime]:
    return [
        RunKey.from_row_key(row.key).due_at
        async for row in _iterate_keys(store, HISTORY_TABLE, shard, OPEN_PREFIX, OPEN_PREFIX + PREFIX_END)
    ]


async def count_dead_letters(store: Store) -> int:
    """Count dead letters. Raises StoreUnavailable."""
    return sum([1 async for _ in _iterate_keys(store, LETTERS, _LETTERS_PARTITION)])


async def _iterate_keys(
    store: Store, table: str, partition: str, after: str = "", until: str = ""
) -> AsyncIterator[Row]:
    for _ in range(MAX_COUNTED_PAGES):
        rows = await store.list_rows(table, partition, after=after, until=until, limit=LARGEST_PAGE, bodies=False)
        for row in rows:
            yield row
        if len(rows) < LARGEST_PAGE:
            return
        after = rows[-1].key
