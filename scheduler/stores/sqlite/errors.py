"""Translates SQLite's errors for operators. Used by every part of the SQLite store."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from scheduler.stores.port import StoreDamaged, StoreUnavailable

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
