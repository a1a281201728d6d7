"""The SQLite store: one file in WAL mode, one thread that writes, one that reads. Opened by scheduler.app.

What `apply` has acknowledged survives SIGKILL at any moment: a commit hands the pages to the operating system. They
reach the disk at a checkpoint (synchronous=NORMAL), so a power cut or a crash of the machine may lose the last moments,
never the file's integrity. Writing each commit to disk would cost ten times as much, and the checks of the last moments
are repeated seconds later.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from scheduler.stores.backend import BackendOptions
from scheduler.stores.port import Change, Etags, Row, StoreError, StoreUnavailable
from scheduler.stores.rows import PING_CHANGE, PING_ROW
from scheduler.stores.sqlite.batching_thread import LARGEST_BATCH, BatchingThread, BatchingThreadClosed
from scheduler.stores.sqlite.connections import SqliteConnections, StoreAccess, open_connections
from scheduler.stores.sqlite.file_check import FileCheck
from scheduler.stores.sqlite.reader import CheckpointRequest, GetQuery, ListQuery, ReaderRequest, SqliteReader
from scheduler.stores.sqlite.snapshot import SqliteSnapshot, open_snapshot
from scheduler.stores.sqlite.writer import ChangeGroup, SqliteWriter

_log = logging.getLogger("scheduler.stores")

CLOSE_TIMEOUT = 2.0
"""Seconds at the end for requests that are in flight. Another process that locks the file must not delay the end."""
CHECKPOINT_INTERVAL_CHANGES = 1500
"""Changes between two checkpoints, each about one page in the WAL."""

__all__ = ["SqliteStore", "StoreAccess", "open_sqlite", "sqlite_path"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def sqlite_path(url: str) -> Path:
    """Return the file of `sqlite:///relative/path` or `sqlite:////absolute/path`.

    Raises ValueError for another text.
    """
    path = url.removeprefix("sqlite:///")
    if path == url or not path.strip("/"):
        raise ValueError(
            f"{url!r} is not a SQLite store: write sqlite:///path/to/file.db, with four slashes if absolute"
        )
    return Path(path)


async def open_store(options: BackendOptions) -> SqliteStore:
    """Open the file of `sqlite:///path`. Raises StoreUnavailable."""
    return await open_sqlite(sqlite_path(options.url), StoreAccess.OWN if options.owns_file else StoreAccess.SHARED)


async def open_scan(options: BackendOptions, known_tables: Sequence[str]) -> SqliteSnapshot:
    """Open the file for reading, at this instant. Raises StoreUnavailable."""
    return await open_snapshot(sqlite_path(options.url))


async def open_sqlite(path: Path, access: StoreAccess = StoreAccess.OWN) -> SqliteStore:
    """Open a store.

    Raises:
        StoreUnavailable: the file cannot be opened, is damaged, has another schema or belongs to another scheduler.
    """
    return SqliteStore(path, await asyncio.to_thread(open_connections, path, access))


class SqliteStore:
    """Implements scheduler.stores.port.Store."""

    def __init__(self, path: Path, connections: SqliteConnections) -> None:
        self._path = path
        self._connections = connections
        self._files = (path, path.with_name(f"{path.name}-wal"))
        self._file_identities = [*map(_file_identity, self._files)]
        self.file_check = FileCheck(path)
        """The owner of the file runs it."""
        self._closed = False
        self._changes_since_checkpoint = 0
        reader = SqliteReader(path, connections.reading, self.file_check.report_error)
        self._reader_thread: BatchingThread[ReaderRequest, Sequence[Row]] = BatchingThread(
            "store-reader", reader.process
        )
        self._writer_thread: BatchingThread[ChangeGroup, Etags] | None = None
        if connections.writing is not None:
            writer = SqliteWriter(path, connections.writing, connections.opening, self.file_check.report_error)
            self._writer_thread = BatchingThread("store-writer", writer.process)

    async def apply(self, *changes: Change) -> Etags:
        etags = await self._submit(self._require_writer(), changes)
        self._count_changes(len(changes))
        return etags

    async def apply_each(self, groups: Sequence[Sequence[Change]]) -> Sequence[Etags | StoreError]:
        if len(groups) <= LARGEST_BATCH:
            return await self._apply_groups(groups)
        answers: list[Etags | StoreError] = []
        for start in range(0, len(groups), LARGEST_BATCH):
            some = groups[start : start + LARGEST_BATCH]
            answers += await self._apply_groups(some)
        return answers

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        rows = await self._submit(self._reader_thread, GetQuery(table, partition, key))
        return rows[0] if rows else None

    async def list_rows(
        self, table: str, partition: str, *, after: str = "", until: str = "", limit: int, bodies: bool = True
    ) -> Sequence[Row]:
        return await self._submit(self._reader_thread, ListQuery(table, partition, after, until, limit, bodies))

    async def ping(self) -> None:
        if self._writer_thread is None:
            await self.get_row(*PING_ROW)
        else:
            # A real write: a full or read-only disk shows here before a run is lost to it.
            await self.apply(PING_CHANGE)
            await self._require_files()

    async def _require_files(self) -> None:
        now = await asyncio.to_thread(lambda: [*map(_file_identity, self._files)])
        for path, identity, before in zip(self._files, now, self._file_identities, strict=True):
            if identity != before:
                raise StoreUnavailable(
                    f"store {path}: the file was removed or replaced while it is open, so what is recorded now "
                    "is lost when the process ends: restart it, and find out which program removed the file"
                )

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        lanes = [lane.aclose(CLOSE_TIMEOUT) for lane in (self._reader_thread, self._writer_thread) if lane is not None]
        if all(await asyncio.gather(*lanes)):
            await asyncio.to_thread(self._connections.close)
        else:
            _log.warning(
                "could not close store %s: it is busy; it is left as after a crash, which loses nothing", self._path
            )

    async def _apply_groups(self, groups: Sequence[Sequence[Change]]) -> Sequence[Etags | StoreError]:
        try:
            answers = await self._require_writer().submit_all([tuple(changes) for changes in groups])
        except BatchingThreadClosed:
            return [self._closed_error() for _ in groups]
        except StoreUnavailable as error:
            return [error for _ in groups]
        self._count_changes(sum(map(len, groups)))
        return [answer if isinstance(answer, tuple) else _require_store_error(answer) for answer in answers]

    def _require_writer(self) -> BatchingThread[ChangeGroup, Etags]:
        if self._writer_thread is None:
            raise StoreUnavailable(f"store {self._path} was opened for reading only")
        return self._writer_thread

    def _closed_error(self) -> StoreUnavailable:
        return StoreUnavailable(f"store {self._path} is closed")

    def _count_changes(self, changes: int) -> None:
        self._changes_since_checkpoint += changes
        if self._changes_since_checkpoint >= CHECKPOINT_INTERVAL_CHANGES and not self._closed:
            self._changes_since_checkpoint = 0
            # If it fails, the WAL stays longer. Its cause affects the writer as well, which reports it.
            self._reader_thread.submit(CheckpointRequest()).add_done_callback(lambda done: done.exception())

    def _submit(self, lane: BatchingThread[Item, Result], item: Item) -> Awaitable[Result]:
        try:
            return lane.submit(item)
        except BatchingThreadClosed:
            raise self._closed_error() from None


def _file_identity(path: Path) -> tuple[int, int] | None:
    """Return which file it is; None if it does not exist."""
    with suppress(OSError):
        found = os.stat(path)
        return found.st_dev, found.st_ino
    return None


def _require_store_error(answer: Exception) -> StoreError:
    """Return the error if it is one of the store; raise any other, which is a bug."""
    if isinstance(answer, StoreError):
        return answer
    raise answer
