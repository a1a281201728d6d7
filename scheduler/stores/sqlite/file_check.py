"""Checks once, after the start, whether the SQLite file is damaged. Used by sqlite.store, next to the reader and the
writer.

`PRAGMA quick_check` reads the whole file on a separate connection and thread: 0.06 s for 42,000 runs (36 MB), 1.3 to
2.4 s of CPU for a million (1 GB), 3 s from the cache and 7 s from a busy disk. It stops after a while, because it must
not keep a slow disk busy for minutes; then damage shows when a row is read.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread

from scheduler.stores.port import StoreDamaged, StoreUnavailable
from scheduler.stores.sqlite.errors import DAMAGE_REMEDY

_log = logging.getLogger("scheduler.stores")

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
        found: asyncio.Future[str] = loop.create_future()
        # A daemon: a disk that hangs must not delay the end of the program.
        Thread(target=self._check_in_thread, args=(loop, found), name="store-check", daemon=True).start()
        try:
            async with asyncio.timeout(FILE_CHECK_TIMEOUT):
                finding = await found
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

    def _check_in_thread(self, loop: asyncio.AbstractEventLoop, found: asyncio.Future[str]) -> None:
        finding = ""
        try:
            finding = self._find_damage()
        except sqlite3.OperationalError as error:
            _log.debug("could not check store %s to its end: %s", self._path, error)
        except sqlite3.DatabaseError as error:
            finding = str(error)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_set_result, found, finding)

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


def _set_result(found: asyncio.Future[str], finding: str) -> None:
    if not found.done():
        found.set_result(finding)
