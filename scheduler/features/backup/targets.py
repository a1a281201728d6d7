"""What a backup is restored to: a SQLite file, or a store that is written in place, such as Azure Tables.

A SQLite file is restored into a new file next to it, which gets its name at the end: so it is complete under its name,
or what it was before. A former file is renamed.

In a store that is written in place, a row tells how far the restore has come. Until it is complete, the program refuses
to start with the store, and the same restore continues where it ended.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from scheduler.features.backup.dump_file import sync_folder
from scheduler.features.backup.port import RowProgress, TargetNotEmpty
from scheduler.features.backup.tables import (
    INCLUDED_TABLES,
    STORED_TABLES,
    TableDigest,
    is_included,
    read_included_tables,
)
from scheduler.stores.port import MAX_ATOMIC_GROUP, Change, Delete, Store, StoreError, StoreScan, StoreUnavailable
from scheduler.stores.rows import (
    HEALTH_TABLE,
    OLDER_PING_CHANGE,
    ROW_SCHEMA,
    find_unfinished_restore,
    finish_restore,
    save_restore_progress,
)
from scheduler.stores.sqlite.connections import to_store_error
from scheduler.stores.sqlite.file_lock import FileLock, lock_path
from scheduler.stores.sqlite.schema import mark_older_rows
from scheduler.stores.sqlite.store import SqliteStore, open_sqlite
from scheduler.stores.sqlite.whole_file import open_snapshot


async def find_filled_tables(scan: StoreScan) -> list[str]:
    """Return the tables that a backup would contain and that have rows. Raises StoreError."""
    existing = await scan.count_rows()
    filled = []
    for table in INCLUDED_TABLES:
        count = existing.get(table, 0)
        if count is None:
            count = 0
            async for page in scan.read_table(table):
                count = len(page)
                break
        if count:
            filled.append(table)
    return filled


async def digest_tables(scan: StoreScan, progress: RowProgress) -> Mapping[str, TableDigest]:
    """Read all rows that a backup would contain. Raises StoreError."""
    existing = await scan.count_rows()
    counts = [count for table, count in existing.items() if is_included(table)]
    progress.begin("comparing", None if None in counts else sum(count or 0 for count in counts))
    tables: dict[str, TableDigest] = {}
    async for table, rows in read_included_tables(scan, existing):
        tables.setdefault(table, TableDigest()).add(rows)
        progress.advance(len(rows))
    return tables


_COMPANIONS = ("", "-wal", "-shm")
"""Ends of the names of the files that belong together."""


class FileTarget:
    """Implements scheduler.features.backup.port.RestoreTarget. `now`: names the former file."""

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


ROWS_BETWEEN_SAVES = 20_000
"""Rows after which the progress is stored: so many are written again after an interruption."""


class TableTarget:
    """Implements scheduler.features.backup.port.RestoreTarget. The caller closes `store` and `scan`."""

    def __init__(self, store: Store, scan: StoreScan, description: str) -> None:
        self._store = store
        self._scan = scan
        self._digest = ""
        self._saved = 0
        self.description = description

    async def prepare(self, digest: str, *, replace: bool, progress: RowProgress) -> int:
        self._digest = digest
        unfinished = await find_unfinished_restore(self._store)
        if unfinished is not None and unfinished.digest == digest:
            self._saved = unfinished.rows
            return self._saved
        filled = await find_filled_tables(self._scan)
        if filled and not replace:
            raise TargetNotEmpty(self._describe_filled(filled, is_part=unfinished is not None))
        # From here on the program refuses the store.
        await save_restore_progress(self._store, digest, 0)
        if filled:
            await self._delete_rows(progress)
        return 0

    @property
    def store(self) -> Store:
        return self._store

    async def save_progress(self, rows: int) -> None:
        if rows - self._saved >= ROWS_BETWEEN_SAVES:
            await save_restore_progress(self._store, self._digest, rows)
            self._saved = rows

    async def read_digests(self, progress: RowProgress) -> Mapping[str, TableDigest]:
        return await digest_tables(self._scan, progress)

    async def commit(self, schema: int) -> str:
        if schema < ROW_SCHEMA:
            await self._store.apply(OLDER_PING_CHANGE)
        await finish_restore(self._store)
        return ""

    async def aclose(self) -> None:
        """What is written stays, and the same restore continues with it."""

    def _describe_filled(self, filled: list[str], *, is_part: bool) -> str:
        what = "a part of another backup" if is_part else "rows already"
        return (
            f"{self.description} has {what} ({', '.join(filled)}): name another prefix, "
            "or add --replace, which deletes these rows"
        )

    async def _delete_rows(self, progress: RowProgress) -> None:
        progress.begin("deleting", None)
        existing = await self._scan.count_rows()
        for table in STORED_TABLES:
            if table == HEALTH_TABLE or table not in existing:
                continue
            async for page in self._scan.read_table(table):
                groups: dict[str, list[Change]] = {}
                for row in page:
                    groups.setdefault(row.partition, []).append(Delete(table, row.partition, row.key))
                parts = [
                    group[start : start + MAX_ATOMIC_GROUP]
                    for group in groups.values()
                    for start in range(0, len(group), MAX_ATOMIC_GROUP)
                ]
                for result in await self._store.apply_each(parts):
                    if isinstance(result, StoreError):
                        raise result
                progress.advance(len(page))
