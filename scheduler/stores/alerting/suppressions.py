"""Silences and maintenance windows that were made over the API or the command line.

Written by operations, read by passes of the engine and queries. One row each, in the partition of its kind. Those that
have ended are moved to another partition, so that what a pass reads grows with what is in force.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from jobs.incidents.suppression.windows import RequestedWindow, Silence
from scheduler.stores.port import Row, RowChanged, Store, StoreError
from scheduler.stores.rows import InvalidContinuation, encode_json
from scheduler.stores.table import CachedRead, Stored, Table

_log = logging.getLogger("scheduler.stores")

SUPPRESSIONS_TABLE = "suppressions"
ARCHIVE_AFTER = timedelta(minutes=5)
"""After the end: by then every pass that was due at the end has read it."""
_ENDED = "ended-"
_ID = re.compile("[0-9A-Za-z-]{1,100}")

S = TypeVar("S", Silence, RequestedWindow)


def create_suppression_id(now: datetime) -> str:
    """Return a new id. Ids are ordered by the millisecond of their creation."""
    return f"{int(now.timestamp() * 1000):013}-{secrets.token_hex(4)}"


StoredSuppression = Stored
"""A silence or window with the etag of its row."""


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
        def decode(row: Row) -> S:
            return kind.model_validate_json(row.body)

        def log_failed_read(error: StoreError) -> None:
            _log.warning("could not read the %s: %s; those read before stay in force", partition, error)

        self._unarchived: Table[S] = Table(store, SUPPRESSIONS_TABLE, partition, _encode, decode)
        self._archived: Table[S] = Table(store, SUPPRESSIONS_TABLE, f"{_ENDED}{partition}", _encode, decode)
        self._cache: CachedRead[tuple[S, ...]] = CachedRead(self._read_all, (), monotonic, log_failed_read)

    async def list_current(self) -> tuple[S, ...]:
        """Return those that have not ended, and some that have, from a cache of READ_INTERVAL.

        While the store is unavailable, those that were read before stay in force.
        """
        return await self._cache.refresh()

    async def list_unarchived(self) -> list[StoredSuppression[S]]:
        """Return those that have not ended, and some that have, from the store and by id."""
        return await self._unarchived.list_stored()

    async def list_page(self, *, ended: bool = False, limit: int, after: str = "") -> SuppressionPage[S]:
        """Return a page by id, the oldest first: of those that were moved because they have ended, or of the others.

        `after`: the continuation of the page before. Raises InvalidContinuation.
        """
        if after and not _is_id(after):
            raise InvalidContinuation(after)
        rows = self._archived if ended else self._unarchived
        stored = await rows.list_stored(after=after, limit=limit + 1)
        return SuppressionPage(tuple(stored[:limit]), stored[limit - 1].value.id if len(stored) > limit else None)

    async def list_newest_ended(self, limit: int) -> list[StoredSuppression[S]]:
        """Return the newest ones that were moved because they have ended, newest first."""
        keys = await self._archived.list_keys()
        after = keys[-limit - 1] if len(keys) > limit else ""
        return (await self._archived.list_stored(after=after, limit=limit))[::-1]

    async def find(self, suppression_id: str) -> StoredSuppression[S] | None:
        """Return it, also if it has ended; None if it does not exist."""
        if not _is_id(suppression_id):
            return None
        return await self._unarchived.get(suppression_id) or await self._archived.get(suppression_id)

    async def insert(self, value: S) -> StoredSuppression[S]:
        """Store a new one. Raises RowExists."""
        return await self._write(value, None)

    async def replace(self, stored: StoredSuppression[S], value: S) -> StoredSuppression[S]:
        """Replace one that has not been moved. Raises RowChanged if it has changed since it was read."""
        return await self._write(value, stored.etag)

    async def _write(self, value: S, etag: str | None) -> StoredSuppression[S]:
        async with self._cache.lock:
            stored = StoredSuppression(value, await self._unarchived.write(value.id, value, etag))
            others = [other for other in self._cache.value if other.id != value.id]
            others.insert(bisect_left(others, value.id, key=lambda other: other.id), value)
            self._cache.value = tuple(others)
        return stored

    async def delete(self, stored: StoredSuppression[S]) -> None:
        """Delete one that has not been moved. Raises RowChanged if it has changed since it was read."""
        async with self._cache.lock:
            await self._unarchived.remove(stored.value.id, stored.etag)
            self._cache.value = tuple(other for other in self._cache.value if other.id != stored.value.id)

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
        # The row exists already if a call was interrupted after this step, or if another process was faster.
        await self._archived.try_write(stored.value.id, stored.value, None)
        try:
            await self._unarchived.remove(stored.value.id, stored.etag)
        except RowChanged:
            return False
        return True

    async def prune(self, now: datetime, age_s: float) -> int:
        """Delete moved ones that ended longer ago than `age_s` seconds; return their number."""
        limit, deleted = now - timedelta(seconds=age_s), 0
        for value in await self._archived.list_values():
            if value.ends_at is not None and value.ends_at < limit:
                await self._archived.remove(value.id)
                deleted += 1
        return deleted

    async def _read_all(self) -> tuple[S, ...]:
        return tuple(await self._unarchived.list_values())


def _encode(value: Silence | RequestedWindow) -> str:
    return encode_json(value.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def _is_id(text: str) -> bool:
    return (
        0 < len(text) <= 100 and text.isascii() and all(character.isalnum() or character == "-" for character in text)
    )
