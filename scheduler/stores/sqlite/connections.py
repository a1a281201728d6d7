"""Opens the SQLite file: lock, settings of the connections, schema. Blocks: called by sqlite.store in a thread."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from scheduler.stores.port import StoreDamaged, StoreUnavailable
from scheduler.stores.sqlite.file_lock import FileLock
from scheduler.stores.sqlite.schema import UpgradeReport, count_opening, log_upgrade, require_current, upgrade

DAMAGE_REMEDY = (
    "stop the scheduler, and restore a backup or recover the readable rows with `sqlite3 FILE .recover`; without the "
    "file, history starts empty (docs/storage.md, A damaged file)"
)
"""What to do with a damaged file."""
_ADVICE = {
    sqlite3.SQLITE_FULL: "free some disk space; lower retention settings delete runs earlier",
    sqlite3.SQLITE_READONLY: "check the file's owner and mode, and whether its disk is mounted read-only",
    sqlite3.SQLITE_PERM: "check the file's owner and mode",
    sqlite3.SQLITE_CANTOPEN: "check the path, and the owner and mode of its folder",
    sqlite3.SQLITE_BUSY: "another process holds its lock; the change is retried",
    sqlite3.SQLITE_LOCKED: "another process holds its lock; the change is retried",
    sqlite3.SQLITE_CORRUPT: f"the file is damaged: {DAMAGE_REMEDY}",
    sqlite3.SQLITE_NOTADB: "the file is not a SQLite database; move it, or set SCHEDULER_STORE to another file",
    sqlite3.SQLITE_IOERR: "its disk fails; the file needs a local disk, not a network share",
}

_NOT_UTF8 = "Could not decode to UTF-8"
"""The beginning of the error for a text of the file that is not UTF-8. The rest is that text, which is of no use."""


def to_store_error(path: Path, error: sqlite3.Error) -> StoreUnavailable:
    """Return the error with the file and what to check."""
    if str(error).startswith(_NOT_UTF8):
        return StoreDamaged(
            f"store {path}: a row holds bytes that are not UTF-8, so the file is damaged: {DAMAGE_REMEDY}"
        )
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and (code & 0xFF == sqlite3.SQLITE_CORRUPT or code == sqlite3.SQLITE_IOERR_SHORT_READ):
        return StoreDamaged(f"store {path}: {error}: {_ADVICE[sqlite3.SQLITE_CORRUPT]}")
    advice = _ADVICE.get(code & 0xFF) if code is not None else None
    return StoreUnavailable(f"store {path}: {error}" + (f": {advice}" if advice else ""))


BUSY_TIMEOUT = 5.0
"""Seconds for which a transaction waits for one of another process."""
LOCK_TIMEOUT = 0.3
"""Seconds: a tool holds the file's lock briefly while it upgrades the schema."""


class StoreAccess(StrEnum):
    """How a process uses the file."""

    OWN = "own"
    """A scheduler: creates the file if it is missing, upgrades it, excludes every other scheduler."""
    SHARED = "shared"
    """A tool that also writes, next to the scheduler or alone."""
    READ_ONLY = "read_only"
    """A tool that only reads. The file must exist."""


@dataclass(frozen=True, slots=True)
class SqliteConnections:
    """`opening` counts the openings of this file for writing."""

    reading: sqlite3.Connection
    writing: sqlite3.Connection | None
    opening: int
    _closing: ExitStack

    def close(self) -> None:
        """Close the writing connection last: it moves everything from the WAL into the file and removes the WAL."""
        self._closing.close()


def open_connections(path: Path, access: StoreAccess, report: UpgradeReport = log_upgrade) -> SqliteConnections:
    """Open all connections. `report` gets the progress of an upgrade.

    Raises StoreUnavailable; those opened until then are closed again.
    """
    with ExitStack() as opened:
        try:
            writing, opening = None, 0
            if access is StoreAccess.READ_ONLY:
                _require_file(path)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                writing = _open_for_writing(path, access, opened, report)
                opening = count_opening(writing)
            reading = _open(path, opened)
            require_current(reading)
            reading.execute("PRAGMA query_only = ON")
            return SqliteConnections(reading, writing, opening, opened.pop_all())
        except sqlite3.Error as error:
            raise to_store_error(path, error) from error
        except OSError as error:
            raise StoreUnavailable(f"store {path}: {error.strerror}: check the path, its owner and mode") from error


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise StoreUnavailable(f"store {path} does not exist: start the scheduler first, or set SCHEDULER_STORE")


def _open_for_writing(path: Path, access: StoreAccess, opened: ExitStack, report: UpgradeReport) -> sqlite3.Connection:
    lock = FileLock(path)
    held = lock.acquire(LOCK_TIMEOUT if access is StoreAccess.OWN else 0.0)
    if held:
        opened.callback(lock.release)
    elif access is StoreAccess.OWN:
        raise StoreUnavailable(
            f"store {path} is in use by another scheduler (process {lock.read_owner()}): stop that one, "
            "or set SCHEDULER_STORE to another file"
        )
    connection = _open(path, opened)
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreUnavailable(f"store {path} cannot be used in WAL mode: put it on a local disk, not on a share")
    # Survives the end of the process; see sqlite.store for what a power cut may lose.
    connection.execute("PRAGMA synchronous = NORMAL")
    # The reader thread moves pages into the file long before; only if it never catches up, the writer does it.
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    if held:
        upgrade(path, connection, report)
    else:
        require_current(connection)
    if access is StoreAccess.SHARED:
        lock.release()
    return connection


def _open(path: Path, opened: ExitStack) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    opened.callback(connection.close)
    # KiB. The system caches pages that are read again; a copy for each connection saves no time.
    connection.execute("PRAGMA cache_size = -256")
    return connection
