"""What SQLite's errors mean to an operator. Used by every part of the SQLite store."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from scheduler.stores.port import StoreDamaged, StoreUnavailable

DAMAGE_REMEDY = (
    "stop the scheduler, and restore a backup or save what can be read with `sqlite3 FILE .recover`; without the file "
    "history begins anew (docs/storage.md, A damaged file)"
)
"""What to do with a damaged file."""
_ADVICE = {
    sqlite3.SQLITE_FULL: "free some disk space; older runs go sooner with lower retention settings",
    sqlite3.SQLITE_READONLY: "look at the file's owner and mode, and whether its disk is mounted read-only",
    sqlite3.SQLITE_PERM: "look at the file's owner and mode",
    sqlite3.SQLITE_CANTOPEN: "look at the path, and at the owner and mode of its folder",
    sqlite3.SQLITE_BUSY: "another process keeps it locked; the change is worth another try",
    sqlite3.SQLITE_LOCKED: "another process keeps it locked; the change is worth another try",
    sqlite3.SQLITE_CORRUPT: f"the file is damaged: {DAMAGE_REMEDY}",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database; move it away, or name another file in SCHEDULER_STORE",
    sqlite3.SQLITE_IOERR: "its disk fails; the file needs a local disk, a network share does not do",
}


_NOT_UTF8 = "Could not decode to UTF-8"
"""How the error begins where a text of the file is not UTF-8. What follows is the text, which helps nobody."""


def to_store_error(path: Path, error: sqlite3.Error) -> StoreUnavailable:
    """The error, with the file and what to look at."""
    if str(error).startswith(_NOT_UTF8):
        return StoreDamaged(
            f"store {path}: a row holds bytes that are not UTF-8, so the file is damaged: {DAMAGE_REMEDY}"
        )
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and (code & 0xFF == sqlite3.SQLITE_CORRUPT or code == sqlite3.SQLITE_IOERR_SHORT_READ):
        return StoreDamaged(f"store {path}: {error}: {_ADVICE[sqlite3.SQLITE_CORRUPT]}")
    advice = _ADVICE.get(code & 0xFF) if code is not None else None
    return StoreUnavailable(f"store {path}: {error}" + (f": {advice}" if advice else ""))
