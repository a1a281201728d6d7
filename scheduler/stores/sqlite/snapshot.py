"""Reads all rows of the SQLite file as they were at one instant, next to the scheduler. Opened by
scheduler.stores.sqlite.store.

One read transaction lasts for the whole scan. In WAL mode neither the writer nor the reader waits for it, but pages
that are written meanwhile stay in the WAL, which therefore grows until the scan ends.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from scheduler.stores.port import Row, StoreUnavailable
from scheduler.stores.sqlite.connections import BUSY_TIMEOUT
from scheduler.stores.sqlite.errors import to_store_error
from scheduler.stores.sqlite.schema import SchemaMarks, require_readable

PAGE_ROWS = 2000
"""Rows of a page: at most some megabytes, mostly one."""

_COUNT = "SELECT table_name, count(*) FROM rows GROUP BY table_name"
_GET = "SELECT body, etag FROM rows WHERE table_name = ? AND partition_key = ? AND row_key = ?"
_READ = (
    "SELECT partition_key, row_key, body, etag FROM rows WHERE table_name = ? "
    "ORDER BY table_name, partition_key, row_key"
)

T = TypeVar("T")


class SqliteSnapshot:
    """Implements scheduler.stores.port.StoreScan."""

    is_snapshot = True

    def __init__(self, path: Path, connection: sqlite3.Connection, marks: SchemaMarks) -> None:
        self._path = path
        self._connection = connection
        self._marks = marks

    async def read_schema(self) -> int:
        return self._marks.schema if self._marks.has_older_rows else self._marks.expanded

    async def count_rows(self) -> Mapping[str, int | None]:
        return dict(await self._call(lambda: self._connection.execute(_COUNT).fetchall()))

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        found = await self._call(lambda: self._connection.execute(_GET, (table, partition, key)).fetchone())
        return None if found is None else Row(partition, key, found[0], str(found[1]))

    async def read_table(self, table: str) -> AsyncIterator[Sequence[Row]]:
        cursor = await self._call(lambda: self._connection.execute(_READ, (table,)))
        while found := await self._call(lambda: cursor.fetchmany(PAGE_ROWS)):
            yield [Row(partition, key, body, str(etag)) for partition, key, body, etag in found]

    async def find_damage(self) -> str:
        (text,) = await self._call(lambda: self._connection.execute("PRAGMA quick_check(1)").fetchone())
        return "" if text == "ok" else str(text)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._connection.close)

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except sqlite3.Error as error:
            raise to_store_error(self._path, error) from error


async def open_snapshot(path: Path) -> SqliteSnapshot:
    """Fix the instant, and open the file for reading. Raises StoreUnavailable."""
    return SqliteSnapshot(path, *await asyncio.to_thread(_begin, path))


def _begin(path: Path) -> tuple[sqlite3.Connection, SchemaMarks]:
    if not path.is_file():
        raise StoreUnavailable(f"store {path} does not exist: check SCHEDULER_STORE or the option with the store")
    try:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            # The first read fixes the instant.
            marks = require_readable(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise to_store_error(path, error) from error
    return connection, marks
