"""How much of something there is, counted by keys alone: bodies are never read. Used by the watchdog."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from scheduler.stores.dead_letters import TABLE as LETTERS
from scheduler.stores.port import LARGEST_PAGE, Row, Store
from scheduler.stores.run_keys import OPEN, TIMELINE, RunKey

_LETTERS_PARTITION = "letters"
MOST_PAGES = 5
"""Counting ends after so many pages: what is more than 5,000 is told as 5,000."""


@dataclass(frozen=True, slots=True)
class OpenRuns:
    """Runs that are queued or running, of any process. `oldest`: the earliest due instant of those counted."""

    number: int
    oldest: datetime | None


async def open_runs(store: Store) -> OpenRuns:
    """Raises StoreUnavailable."""
    number, last = 0, None
    async for row in _keys(store, TIMELINE, OPEN):
        number += 1
        last = row
    # Keys ascend from the newest due instant to the oldest.
    return OpenRuns(number, None if last is None else RunKey.of_pointer(last.key).due_at)


async def dead_letters(store: Store) -> int:
    """Raises StoreUnavailable."""
    return sum([1 async for _ in _keys(store, LETTERS, _LETTERS_PARTITION)])


async def _keys(store: Store, table: str, partition: str) -> AsyncIterator[Row]:
    after = ""
    for _ in range(MOST_PAGES):
        rows = await store.list(table, partition, after=after, limit=LARGEST_PAGE, bodies=False)
        for row in rows:
            yield row
        if len(rows) < LARGEST_PAGE:
            return
        after = rows[-1].key
