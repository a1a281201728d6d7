"""Silences and maintenance windows that were made over the API or the command line.

Written by operations, read by passes of the engine and queries. One row each, in the partition of its kind. Those that
have ended are moved to another partition, so that what a pass reads grows with what is in force.

"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from jobs.incidents.suppression.windows import RequestedWindow, Silence
from scheduler.stores.port import Delete, Insert, Replace, Row, RowChanged, RowExists, Store, StoreError
from scheduler.stores.rows import InvalidContinuation, encode_json, list_all_rows

_log = logging.getLogger("scheduler.stores")

SUPPRESSIONS_TABLE = "suppressions"
SUPPRESSIONS_REFRESH_INTERVAL = 5.0
"""Seconds for which a read of the store is valid. A change by this process is valid at once."""
ARCHIVE_AFTER = timedelta(minutes=5)
"""After the end: by then every pass that was due at the end has read it."""
_ENDED = "ended-"

S = TypeVar("S", Silence, RequestedWindow)


def create_suppression_id(now: datetime) -> str:
    """Return a new id. Ids are ordered by the millisecond of their creation."""
    return f"{int(now.timestamp() * 1000):013}-{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class StoredSuppression(Generic[S]):
    """A silence or window with the etag of its row."""

    value: S
    etag: str


@dataclass(frozen=True, slots=True)
class SuppressionPage(Generic[S]):
    """`continuation`: None on the last page."""

    found: tuple[StoredSuppression[S], ...]
    continuation: str | None


class StoredSuppressions(Generic[S]):
    """All methods raise StoreUnavailable, apart from `list_current`.

    `partition`: `silences` or `windows`. See create_suppression_id.
    """

    def __init__(
        self, store: Store, kind: type[S], partition: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._kind: type[S] = kind
        self._partition = partition
        self._monotonic = monotonic
        self._cached: tuple[S, ...] = ()
        self._expires_at: float | None = None
        self._lock = asyncio.Lock()

    async def list_current(self) -> tuple[S, ...]:
        """Return those that have not ended, and some that have, from a cache of a few seconds.

        While the store is unavailable, those that were read before stay in force.
        """
        if self._is_stale():
            async with self._lock:
                if self._is_stale():
                    await self._refresh()
        return self._cached

    async def list_unarchived(self) -> list[StoredSuppression[S]]:
        """Return the same from the store, by id."""
        return [self._decode(row) for row in await list_all_rows(self._store, SUPPRESSIONS_TABLE, self._partition)]

    async def list_page(self, *, ended: bool = False, limit: int, after: str = "") -> SuppressionPage[S]:
        """Return a page by id, the oldest first: of those that were moved because they have ended, or of the others.

        `after`: the continuation of the page before. Raises InvalidContinuation.
        """
        if after and not _is_id(after):
            raise InvalidContinuation(after)
        rows = await self._store.list_rows(
            SUPPRESSIONS_TABLE, self._partition_of(ended=ended), after=after, limit=limit + 1
        )
        more = len(rows) > limit
        found = tuple(self._decode(row) for row in rows[:limit])
        return SuppressionPage(found, found[-1].value.id if more else None)

    async def list_newest_ended(self, limit: int) -> list[StoredSuppression[S]]:
        """Return the newest ones that were moved because they have ended, newest first."""
        partition = self._partition_of(ended=True)
        keys = [row.key for row in await list_all_rows(self._store, SUPPRESSIONS_TABLE, partition, bodies=False)]
        after = keys[-limit - 1] if len(keys) > limit else ""
        rows = await self._store.list_rows(SUPPRESSIONS_TABLE, partition, after=after, limit=limit)
        return [self._decode(row) for row in reversed(rows)]

    async def find(self, suppression_id: str) -> StoredSuppression[S] | None:
        """Return it, also if it has ended; None if it does not exist."""
        if not _is_id(suppression_id):
            return None
        for ended in (False, True):
            row = await self._store.get_row(SUPPRESSIONS_TABLE, self._partition_of(ended=ended), suppression_id)
            if row is not None:
                return self._decode(row)
        return None

    async def insert(self, value: S) -> StoredSuppression[S]:
        """Store a new one. Raises RowExists."""
        async with self._lock:
            (etag,) = await self._store.apply(Insert(SUPPRESSIONS_TABLE, self._partition, value.id, _encode(value)))
            self._remember(value)
        return StoredSuppression(value, etag)

    async def replace(self, stored: StoredSuppression[S], value: S) -> StoredSuppression[S]:
        """Replace one that has not been moved. Raises RowChanged if it has changed since it was read."""
        change = Replace(SUPPRESSIONS_TABLE, self._partition, value.id, _encode(value), stored.etag)
        async with self._lock:
            (etag,) = await self._store.apply(change)
            self._remember(value)
        return StoredSuppression(value, etag)

    async def delete(self, stored: StoredSuppression[S]) -> None:
        """Delete one that has not been moved. Raises RowChanged if it has changed since it was read."""
        async with self._lock:
            await self._store.apply(Delete(SUPPRESSIONS_TABLE, self._partition, stored.value.id, stored.etag))
            self._cached = tuple(each for each in self._cached if each.id != stored.value.id)

    async def archive_ended(self, now: datetime) -> int:
        """Move those that have ended; return their number. A crash in the middle is repaired by the next call."""
        moved = 0
        for stored in await self.list_unarchived():
            ends_at = stored.value.ends_at
            if ends_at is not None and ends_at + ARCHIVE_AFTER <= now:
                moved += await self._archive(stored)
        return moved

    async def _archive(self, stored: StoredSuppression[S]) -> bool:
        """Return False if another process has moved it."""
        suppression_id, body = stored.value.id, _encode(stored.value)
        with suppress(RowExists):  # inserted by a call that was interrupted here, or by another process
            await self._store.apply(Insert(SUPPRESSIONS_TABLE, self._partition_of(ended=True), suppression_id, body))
        try:
            await self._store.apply(Delete(SUPPRESSIONS_TABLE, self._partition, suppression_id, stored.etag))
        except RowChanged:
            return False
        return True

    async def prune(self, now: datetime, age_s: float) -> int:
        """Delete moved ones that ended longer ago than `age_s` seconds; return their number."""
        limit, deleted = now - timedelta(seconds=age_s), 0
        partition = self._partition_of(ended=True)
        for row in await list_all_rows(self._store, SUPPRESSIONS_TABLE, partition):
            ends_at = self._decode(row).value.ends_at
            if ends_at is not None and ends_at < limit:
                await self._store.apply(Delete(SUPPRESSIONS_TABLE, partition, row.key))
                deleted += 1
        return deleted

    def _partition_of(self, *, ended: bool) -> str:
        return f"{_ENDED}{self._partition}" if ended else self._partition

    def _is_stale(self) -> bool:
        return self._expires_at is None or self._monotonic() >= self._expires_at

    async def _refresh(self) -> None:
        self._expires_at = self._monotonic() + SUPPRESSIONS_REFRESH_INTERVAL
        try:
            self._cached = tuple(stored.value for stored in await self.list_unarchived())
        except StoreError as error:
            _log.warning("could not read the %s: %s; those read before stay in force", self._partition, error)

    def _remember(self, value: S) -> None:
        others = [each for each in self._cached if each.id != value.id]
        others.insert(bisect_left(others, value.id, key=lambda each: each.id), value)
        self._cached = tuple(others)

    def _decode(self, row: Row) -> StoredSuppression[S]:
        return StoredSuppression(self._kind.model_validate_json(row.body), row.etag)


def _encode(value: Silence | RequestedWindow) -> str:
    return encode_json(value.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def _is_id(text: str) -> bool:
    return 0 < len(text) <= 100 and text.isascii() and all(each.isalnum() or each == "-" for each in text)
