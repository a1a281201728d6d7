"""Restores into a SQLite file: into a new file next to it, which gets its name at the end.

Used by scheduler.app.backup_opening. So the file is complete under its name, or what it was before. A former file is
renamed.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from scheduler.backup.errors import TargetNotEmpty
from scheduler.backup.progress import RowProgress
from scheduler.backup.store_content import digest_tables, find_filled_tables
from scheduler.backup.table_digests import TableDigest
from scheduler.backup.writing import sync_folder
from scheduler.stores.port import Store, StoreUnavailable
from scheduler.stores.rows import ROW_SCHEMA
from scheduler.stores.sqlite.connections import to_store_error
from scheduler.stores.sqlite.file_lock import FileLock, lock_path
from scheduler.stores.sqlite.schema import mark_older_rows
from scheduler.stores.sqlite.store import SqliteStore, open_sqlite
from scheduler.stores.sqlite.whole_file import open_snapshot

_COMPANIONS = ("", "-wal", "-shm")
"""Ends of the names of the files that belong together."""


class FileTarget:
    """Implements scheduler.backup.target.RestoreTarget. `now`: names the former file."""

    def __init__(self, path: Path, now: datetime) -> None:
        self._path = path
        self._new = path.with_name(f"{path.name}.restoring")
        self._former = path.with_name(f"{path.name}.before-{now:%Y%m%dT%H%M%SZ}")
        self._lock = FileLock(path)
        self._store: SqliteStore | None = None
        self.description = f"store {path}"

    async def prepare(self, digest: str, *, replace: bool, progress: RowProgress) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            is_free = self._lock.acquire(0.0)
        except OSError as error:
            raise StoreUnavailable(
                f"{self.description}: {error.strerror}: check the path, its owner and mode"
            ) from error
        if not is_free:
            raise StoreUnavailable(
                f"{self.description} is in use by a scheduler (process {self._lock.read_owner()}): stop that one"
            )
        if self._path.exists() and not replace:
            await self._require_empty()
        self._remove_new()
        self._store = await open_sqlite(self._new)
        return 0

    @property
    def store(self) -> Store:
        assert self._store is not None, "it is prepared"
        return self._store

    async def save_progress(self, rows: int) -> None:
        """A file that is not complete is never continued."""

    async def read_digests(self, progress: RowProgress) -> Mapping[str, TableDigest]:
        await self._close_store()
        scan = await open_snapshot(self._new)
        try:
            return await digest_tables(scan, progress)
        finally:
            await scan.aclose()

    async def commit(self, schema: int) -> str:
        if schema < ROW_SCHEMA:
            await asyncio.to_thread(mark_file, self._new)
        former = ""
        if self._path.exists():
            for end in _COMPANIONS:
                with suppress(FileNotFoundError):
                    os.replace(f"{self._path}{end}", f"{self._former}{end}")
            former = f"the former file is {self._former}"
        with self._new.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(self._new, self._path)
        sync_folder(self._path)
        return former

    async def aclose(self) -> None:
        await self._close_store()
        self._remove_new()
        self._lock.release()

    async def _require_empty(self) -> None:
        scan = await open_snapshot(self._path)
        try:
            filled = await find_filled_tables(scan)
        finally:
            await scan.aclose()
        if filled:
            raise TargetNotEmpty(
                f"{self.description} has rows already ({', '.join(filled)}): name another file, "
                "or add --replace, which renames this one"
            )

    async def _close_store(self) -> None:
        if self._store is not None:
            await self._store.aclose()
            self._store = None

    def _remove_new(self) -> None:
        for path in (*(Path(f"{self._new}{end}") for end in _COMPANIONS), lock_path(self._new)):
            with suppress(FileNotFoundError):
                path.unlink()


def mark_file(path: Path) -> None:
    """Let the next scheduler repeat the expansions of the file's schema. Raises StoreUnavailable."""
    try:
        with closing(sqlite3.connect(path)) as connection, connection:
            mark_older_rows(connection)
    except sqlite3.Error as error:
        raise to_store_error(path, error) from error
