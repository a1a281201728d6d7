"""Rows about the store itself: a test write of the health page, and a restore that has not finished.

Used by scheduler.stores.sqlite.store, scheduler.stores.azure.store and scheduler.backup.
"""

from __future__ import annotations

from typing import Any

from scheduler.stores.port import Delete, Store, StoreUnavailable, Upsert
from scheduler.stores.rows.json_text import decode_json, encode_json

HEALTH_TABLE = "health"
PING_CHANGE = Upsert(HEALTH_TABLE, "ping", "ping", "{}")
"""A write that shows whether rows can be written."""
_RESTORE = (HEALTH_TABLE, "restore", "progress")


class UnfinishedRestore(StoreUnavailable):
    """The store has a part of a backup only. `digest` of the backup's file, `rows` that were written for certain."""

    def __init__(self, digest: str, rows: int) -> None:
        super().__init__(
            f"the store has only a part of a backup: its restore ended after {rows} rows. Run the same "
            "`backup restore` again, which continues there"
        )
        self.digest = digest
        self.rows = rows


async def find_unfinished_restore(store: Store) -> UnfinishedRestore | None:
    """Return the restore that has not finished; None if each one has finished. Raises StoreUnavailable."""
    row = await store.get_row(*_RESTORE)
    if row is None:
        return None
    body: dict[str, Any] = decode_json(row.body)
    return UnfinishedRestore(body["file"], body["rows"])


async def save_restore_progress(store: Store, digest: str, rows: int) -> None:
    """Raises StoreUnavailable."""
    await store.apply(Upsert(*_RESTORE, encode_json({"file": digest, "rows": rows})))


async def finish_restore(store: Store) -> None:
    """Raises StoreUnavailable."""
    await store.apply(Delete(*_RESTORE))
