"""Values in the rows of one partition, for repositories of few rows: read, list, write with a fence, and prune.

A repository has a Table for each kind of row that it stores, and adds what its subject needs. Its module names the keys
and has the two functions of the codec: the text of a value, which is the body of its row, and the value of a row.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from scheduler.stores.port import (
    MAX_ATOMIC_GROUP,
    Delete,
    Insert,
    Replace,
    Row,
    RowChanged,
    RowExists,
    Store,
    StoreError,
    Upsert,
    put_row,
)
from scheduler.stores.rows import list_all_rows

T = TypeVar("T")

READ_INTERVAL = 5.0
"""Seconds for which a CachedRead is valid."""


@dataclass(frozen=True, slots=True)
class Stored(Generic[T]):
    """A value with the etag of its row."""

    value: T
    etag: str


class Table(Generic[T]):
    """The rows of one partition. Its coroutines raise StoreUnavailable.

    `decode` gets the row, because a value may have the key and the etag of its row.
    """

    def __init__(
        self, store: Store, table: str, partition: str, encode: Callable[[T], str], decode: Callable[[Row], T]
    ) -> None:
        self._store = store
        self._place = (table, partition)
        self._encode = encode
        self._decode = decode

    def upsert(self, key: str, value: T) -> Upsert:
        return Upsert(*self._place, key, self._encode(value))

    def put(self, key: str, value: T, etag: str | None) -> Insert | Replace:
        """Return the change that replaces the row of this etag; without an etag, the one that inserts the first."""
        return put_row(*self._place, key, self._encode(value), etag)

    def delete(self, key: str, etag: str = "") -> Delete:
        return Delete(*self._place, key, etag)

    async def get(self, key: str) -> Stored[T] | None:
        row = await self._store.get_row(*self._place, key)
        return None if row is None else Stored(self._decode(row), row.etag)

    async def find(self, key: str) -> T | None:
        row = await self._store.get_row(*self._place, key)
        return None if row is None else self._decode(row)

    async def list_stored(self, *, after: str = "", until: str = "", limit: int | None = None) -> list[Stored[T]]:
        """Return the values between these keys in the order of the keys, at most `limit` or else all."""
        if limit is None:
            rows = await list_all_rows(self._store, *self._place, after=after, until=until)
        else:
            rows = [*await self._store.list_rows(*self._place, after=after, until=until, limit=limit)]
        return [Stored(self._decode(row), row.etag) for row in rows]

    async def list_values(self, *, after: str = "", until: str = "", limit: int | None = None) -> list[T]:
        """Return the values as `list_stored` does, without etags."""
        return [stored.value for stored in await self.list_stored(after=after, until=until, limit=limit)]

    async def list_keys(self) -> list[str]:
        return [row.key for row in await list_all_rows(self._store, *self._place, bodies=False)]

    async def store(self, key: str, value: T) -> None:
        """Make the change of `upsert`."""
        await self._store.apply(self.upsert(key, value))

    async def write(self, key: str, value: T, etag: str | None) -> str:
        """Make the change of `put`, and return the new etag. Raises RowExists, RowChanged."""
        (written,) = await self._store.apply(self.put(key, value, etag))
        return written

    async def try_write(self, key: str, value: T, etag: str | None) -> str | None:
        """Make the change of `put`, and return the new etag; None if another writer was first."""
        try:
            return await self.write(key, value, etag)
        except (RowExists, RowChanged):
            return None

    async def update(self, key: str, change: Callable[[T | None], T | None]) -> tuple[T | None, T | None]:
        """Replace a value by what `change` returns for it. Return the value before and the one after.

        `change` is called again if another writer was first. If it returns an equal value or None, nothing is stored.
        """
        while True:
            stored = await self.get(key)
            before, etag = (None, None) if stored is None else (stored.value, stored.etag)
            after = change(before)
            if after is None or after == before or await self.try_write(key, after, etag) is not None:
                return before, after

    async def remove(self, key: str, etag: str = "") -> None:
        """Make the change of `delete`. Raises RowChanged."""
        await self._store.apply(self.delete(key, etag))

    async def remove_range(self, *, after: str = "", until: str = "", limit: int = sys.maxsize) -> int:
        """Delete the rows between these keys, at most the first `limit`. Return their number."""
        removed = 0
        while removed < limit:
            some = min(MAX_ATOMIC_GROUP, limit - removed)
            rows = await self._store.list_rows(*self._place, after=after, until=until, limit=some, bodies=False)
            if rows:
                await self._store.apply(*(self.delete(row.key) for row in rows))
            removed += len(rows)
            if len(rows) < some:
                break
        return removed


class CachedRead(Generic[T]):
    """What was last read from the store, valid for READ_INTERVAL.

    A repository that writes does so under `lock`, and changes `value` at once: a read in progress cannot undo it.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[T]],
        empty: T,
        monotonic: Callable[[], float],
        log_failure: Callable[[StoreError], None],
    ) -> None:
        self.value = empty
        self.lock = asyncio.Lock()
        self._read = read
        self._monotonic = monotonic
        self._log_failure = log_failure
        self._expires_at: float | None = None

    async def refresh(self, *, fresh: bool = False) -> T:
        """Return the value; read again if it is too old, or in any case with `fresh`.

        While the store is unavailable, what was read before stays in force.
        """
        if fresh or self._is_stale():
            async with self.lock:
                if fresh or self._is_stale():
                    await self._read_again()
        return self.value

    def _is_stale(self) -> bool:
        return self._expires_at is None or self._monotonic() >= self._expires_at

    async def _read_again(self) -> None:
        self._expires_at = self._monotonic() + READ_INTERVAL
        try:
            self.value = await self._read()
        except StoreError as error:
            self._log_failure(error)
