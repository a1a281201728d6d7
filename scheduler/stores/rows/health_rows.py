"""Rows about the store itself: a test write of the health page, and a restore that has not finished.

Used by scheduler.stores.sqlite.store, scheduler.stores.azure.store and scheduler.features.backup.
"""

from __future__ import annotations

from typing import Any, Protocol

from scheduler.stores.port import Delete, Row, Store, StoreUnavailable, Upsert
from scheduler.stores.rows.json_text import decode_json, encode_json
from scheduler.stores.rows.row_schema import READER_SCHEMA, ROW_SCHEMA

HEALTH_TABLE = "health"
PING_ROW = (HEALTH_TABLE, "ping", "ping")
PING_CHANGE = Upsert(*PING_ROW, encode_json({"schema": ROW_SCHEMA}))
"""A write that shows whether rows can be written, and which form this program writes. Version 0.1.0 writes `{}`."""
OLDER_PING_CHANGE = Upsert(*PING_ROW, encode_json({"schema": READER_SCHEMA}))
_RESTORE = (HEALTH_TABLE, "restore", "progress")


class RowReader(Protocol):
    """A store, or a scan of one."""

    async def get_row(self, table: str, partition: str, key: str) -> Row | None: ...


class UnfinishedRestore(StoreUnavailable):
    """The store has a part of a backup only. `digest` of the backup's file, `rows` that were written for certain."""

    def __init__(self, digest: str, rows: int) -> None:
        super().__init__(
            f"the store has only a part of a backup: its restore ended after {rows} rows. Run the same "
            "`backup restore` again, which continues there"
        )
        self.digest = digest
        self.rows = rows


def schema_of_ping(row: Row | None) -> int:
    """Return the form that the last program wrote which has opened the store; that of this program without one."""
    if row is None:
        return ROW_SCHEMA
    schema = decode_json(row.body).get("schema", READER_SCHEMA)
    return int(schema)


async def find_unfinished_restore(store: RowReader) -> UnfinishedRestore | None:
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
