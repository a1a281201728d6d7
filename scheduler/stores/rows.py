"""What all rows have in common: their JSON text, reads page by page, and rows about the store itself.

The JSON is compact, and not escaped to ASCII: names and messages in other alphabets take a third of the space. The rows
about the store are a test write of the health page, and a restore that has not finished.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from pydantic_core import PydanticSerializationError, from_json, to_json

from scheduler.stores.port import MAX_PAGE, Delete, Row, Store, StoreUnavailable, Upsert


def encode_json(body: Any) -> str:
    """Half of a surrogate pair, in a message from outside, becomes `?`: no store accepts it."""
    try:
        return to_json(body).decode()
    except PydanticSerializationError:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode()


def decode_json(text: str) -> Any:
    """Return the value of a row's text. Raises ValueError."""
    return from_json(text)


def decode_body(row: Row) -> Any:
    """Return the value of a row's body. Raises ValueError."""
    return from_json(row.body)


def is_json(text: str) -> bool:
    """Return whether this is the text of a value."""
    try:
        from_json(text)
    except ValueError:
        return False
    return True


def instant_text(instant: datetime | None) -> str | None:
    """Return an instant as the rows have it, with its offset and all digits."""
    return None if instant is None else instant.isoformat()


def read_instant(text: str | None) -> datetime | None:
    """Return the instant that `instant_text` has written."""
    return None if text is None else datetime.fromisoformat(text)


PREFIX_END = "~"
"""Sorts after everything that follows the beginning of a key, and does not occur in a job's name."""


def end_of(prefix: str) -> str:
    """Return a key that sorts after all keys with this beginning."""
    return prefix + PREFIX_END


async def iterate_pages(
    store: Store,
    table: str,
    partition: str,
    *,
    after: str = "",
    until: str = "",
    bodies: bool = True,
    size: int | None = None,
) -> AsyncIterator[Sequence[Row]]:
    """Yield the pages of the rows that `Store.list_rows` describes; no empty page.

    `size`: rows of a page, by default as many as possible. Raises StoreUnavailable."""
    limit = size or MAX_PAGE
    while True:
        rows = await store.list_rows(table, partition, after=after, until=until, limit=limit, bodies=bodies)
        if rows:
            yield rows
        if len(rows) < limit:
            return
        after = rows[-1].key


async def list_all_rows(
    store: Store, table: str, partition: str, *, after: str = "", until: str = "", bodies: bool = True
) -> list[Row]:
    """Return all rows of the range, however many. Raises StoreUnavailable."""
    pages = iterate_pages(store, table, partition, after=after, until=until, bodies=bodies)
    return [row async for page in pages for row in page]


class InvalidContinuation(ValueError):
    """A continuation that this list did not return."""

    def __init__(self, continuation: str) -> None:
        from jobs.problems import format_value  # imports pydantic, which most readers of rows do without

        shown = format_value(continuation)
        super().__init__(f"{shown} is not a continuation of this list: use the value of the previous page")


ROW_SCHEMA = 3
"""The form that this program writes: the number of the migrations of the SQLite store."""
READER_SCHEMA = 2
"""The oldest form whose programs can use what this program writes. Only a contraction increases it."""

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
