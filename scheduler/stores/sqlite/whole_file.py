"""Reads the whole SQLite file next to the scheduler: all rows as they were at one instant, or a check for damage.

One read transaction lasts for the whole scan of the rows. In WAL mode neither the writer nor the reader waits for it,
but pages that are written meanwhile stay in the WAL, which therefore grows until the scan ends.

The check is made once, after the start. `PRAGMA quick_check` reads the whole file on a separate connection and thread:
0.06 s for 42,000 runs (36 MB), 1.3 to 2.4 s of CPU for a million (1 GB), 3 s from the cache and 7 s from a busy disk.
It stops after a while, because it must not keep a slow disk busy for minutes; then damage shows when a row is read.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread
from typing import TypeVar

from scheduler.stores.port import Row, StoreDamaged, StoreUnavailable
from scheduler.stores.sqlite.connections import BUSY_TIMEOUT, DAMAGE_REMEDY, to_store_error
from scheduler.stores.sqlite.schema import SchemaMarks, require_readable

_log = logging.getLogger("scheduler.stores")

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


FILE_CHECK_TIMEOUT = 60.0
"""Seconds after which the check stops."""


class FileCheck:
    """`damage`: the message for health; "" as long as neither the check nor a reader or writer has found damage."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._stopped = False
        self.damage = ""

    async def run(self) -> None:
        """Check the file. Raises nothing; a check that is cancelled or times out finds nothing."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[str] = loop.create_future()
        # A daemon: a disk that hangs must not delay the end of the program.
        Thread(target=self._check_in_thread, args=(loop, result), name="store-check", daemon=True).start()
        try:
            async with asyncio.timeout(FILE_CHECK_TIMEOUT):
                finding = await result
        except TimeoutError:
            _log.info("could not check store %s for damage: it is too large for %g s", self._path, FILE_CHECK_TIMEOUT)
            return
        finally:
            self._stop()
        if finding:
            self.damage = f"store {self._path}: the file is damaged ({finding}): {DAMAGE_REMEDY}"
            _log.error("%s", self.damage)

    def report_error(self, error: StoreUnavailable) -> None:
        """Record an error of a reader or writer. Callable in any thread."""
        if isinstance(error, StoreDamaged) and not self.damage:
            self.damage = str(error)

    def _stop(self) -> None:
        self._stopped = True
        if self._connection is not None:
            with suppress(sqlite3.ProgrammingError):  # it is closed already
                self._connection.interrupt()

    def _check_in_thread(self, loop: asyncio.AbstractEventLoop, result: asyncio.Future[str]) -> None:
        finding = ""
        try:
            finding = self._find_damage()
        except sqlite3.OperationalError as error:
            _log.debug("could not check store %s to its end: %s", self._path, error)
        except sqlite3.DatabaseError as error:
            finding = str(error)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_set_result, result, finding)

    def _find_damage(self) -> str:
        """Return what is damaged, "" if nothing is.

        Only the first finding is requested: after it SQLite would read the rows, and fail at the damaged page.
        """
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, check_same_thread=False)) as connection:
            self._connection = connection
            if self._stopped:
                return ""
            (text,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        return "" if text == "ok" else re.sub(r"\*\*\* in database \w+ \*\*\*\s*", "", text).strip()


def _set_result(result: asyncio.Future[str], finding: str) -> None:
    if not result.done():
        result.set_result(finding)
