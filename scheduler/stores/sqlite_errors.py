"""What SQLite's errors mean to an operator. Used by every part of the SQLite store."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from scheduler.stores.port import StoreUnavailable

_ADVICE = {
    sqlite3.SQLITE_FULL: "free some disk space; older runs go sooner with lower retention settings",
    sqlite3.SQLITE_READONLY: "look at the file's owner and mode, and whether its disk is mounted read-only",
    sqlite3.SQLITE_PERM: "look at the file's owner and mode",
    sqlite3.SQLITE_CANTOPEN: "look at the path, and at the owner and mode of its folder",
    sqlite3.SQLITE_BUSY: "another process keeps it locked; the change is worth another try",
    sqlite3.SQLITE_LOCKED: "another process keeps it locked; the change is worth another try",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a copy, or move it away to begin with an empty history",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database; move it away, or name another file in SCHEDULER_STORE",
    sqlite3.SQLITE_IOERR: "its disk fails; the file needs a local disk, a network share does not do",
}


def unavailable(path: Path, error: sqlite3.Error) -> StoreUnavailable:
    """The error, with the file and what to look at."""
    code = getattr(error, "sqlite_errorcode", None)
    advice = _ADVICE.get(code & 0xFF) if code is not None else None
    return StoreUnavailable(f"store {path}: {error}" + (f": {advice}" if advice else ""))
