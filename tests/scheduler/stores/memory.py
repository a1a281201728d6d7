"""A store in memory, for tests that want one at once or want it to fail. The contract tests hold it to the port.

Like Azure Tables it makes the changes of an apply one after the other, so `MemoryStore(data, breaks_after=n)` leaves
behind what a process that died after n changes would leave; a second `MemoryStore(data)` is the next process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from scheduler.stores.port import (
    LARGEST_BODY,
    Change,
    Delete,
    Insert,
    Replace,
    Row,
    RowChanged,
    RowExists,
    StoreError,
    StoreUnavailable,
)


@dataclass
class MemoryData:
    """What outlives a process."""

    rows: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    etags: count[int] = field(default_factory=count)


class MemoryStore:
    """Implements scheduler.stores.port.Store."""

    def __init__(self, data: MemoryData | None = None, *, breaks_after: int | None = None) -> None:
        self.data = data or MemoryData()
        self.breaks_after = breaks_after
        """Changes that still succeed; None: all."""
        self.reads = 0
        self.changes: list[Change] = []
        self.largest_apply = 0

    async def apply(self, *changes: Change) -> tuple[str, ...]:
        self.largest_apply = max(self.largest_apply, len(changes))
        return tuple([self._change(change) for change in changes])

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        self._read()
        return self.data.rows.get((table, partition, key))

    async def list(
        self, table: str, partition: str, *, after: str = "", limit: int, bodies: bool = True
    ) -> Sequence[Row]:
        self._read()
        found = sorted(
            (row for (*of, key), row in self.data.rows.items() if of == [table, partition] and key > after),
            key=lambda row: row.key,
        )
        return [row if bodies else Row(row.partition, row.key, "", row.etag) for row in found[:limit]]

    async def ping(self) -> None:
        self._read()

    async def aclose(self) -> None:
        self.breaks_after = 0

    def _read(self) -> None:
        self.reads += 1
        if self.breaks_after == 0:
            raise StoreUnavailable("the store is away")

    def _change(self, change: Change) -> str:
        if self.breaks_after is not None:
            if self.breaks_after == 0:
                raise StoreUnavailable("the store is away")
            self.breaks_after -= 1
        self.changes.append(change)
        place = (change.table, change.partition, change.key)
        if isinstance(change, Delete):
            self.data.rows.pop(place, None)
            return ""
        found = self.data.rows.get(place)
        if len(change.body) > LARGEST_BODY:
            raise StoreError("the row is too large")
        if isinstance(change, Insert) and found is not None:
            raise RowExists(*place)
        if isinstance(change, Replace) and (found is None or found.etag != change.etag):
            raise RowChanged(*place)
        etag = f"e{next(self.data.etags)}"
        self.data.rows[place] = Row(change.partition, change.key, change.body, etag)
        return etag
