"""The SQLite store: one file in WAL mode, one thread that writes, one that reads.

What `apply` has acknowledged survives SIGKILL at any moment: a commit hands the pages to the operating system. They
reach the disk at a checkpoint (synchronous=NORMAL), so a power cut or a crash of the machine may lose the last moments,
never the file's integrity. Writing each commit to disk would cost ten times as much, and the checks of the last moments
are repeated seconds later.

A thread takes the calls that block, so that the event loop does not. Requests of one turn of the loop are sent
together, and everything that waits when the thread is free is processed as one batch: a thread switch costs more than
most of the requests.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from scheduler.stores.backend import BackendOptions
from scheduler.stores.port import Change, Etags, Row, StoreError, StoreUnavailable
from scheduler.stores.rows import PING_CHANGE, PING_ROW
from scheduler.stores.sqlite.connections import SqliteConnections, StoreAccess, open_connections
from scheduler.stores.sqlite.file_access import (
    ChangeGroup,
    CheckpointRequest,
    GetQuery,
    ListQuery,
    ReaderRequest,
    SqliteReader,
    SqliteWriter,
)
from scheduler.stores.sqlite.whole_file import FileCheck, SqliteSnapshot, open_snapshot

__all__ = ["SqliteStore", "StoreAccess", "open_sqlite", "sqlite_path"]
_log = logging.getLogger("scheduler.stores")
Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_BATCH = 500
"""Items. Limits how long one batch delays the others."""

BatchItem = TypeVar("BatchItem")
BatchResult = TypeVar("BatchResult")


class BatchingThreadClosed(Exception):
    """The request came after the thread was closed."""


BatchAnswers = Sequence[BatchResult | Exception]
_Request = tuple[Sequence[BatchItem], Callable[[BatchAnswers[BatchResult]], None]]
"""Items, and the callback that gets their results."""


class BatchingThread(Generic[BatchItem, BatchResult]):
    """Create it on the loop that it serves. `process` runs in the thread and returns a result or an error for every
    item.
    """

    def __init__(self, name: str, process: Callable[[Sequence[BatchItem]], BatchAnswers[BatchResult]]) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._pending: list[_Request[BatchItem, BatchResult]] = []
        self._queue: SimpleQueue[list[_Request[BatchItem, BatchResult]] | None] = SimpleQueue()
        self._closed = False
        # A daemon: a process that ends without closing its store must not hang. Answered requests are committed.
        self._thread = Thread(target=self._process_batches, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: BatchItem) -> asyncio.Future[BatchResult]:
        """Request one item. Call on the loop. Raises BatchingThreadClosed."""
        future: asyncio.Future[BatchResult] = self._loop.create_future()
        self._enqueue(([item], lambda answers: _resolve(future, answers[0])))
        return future

    def submit_all(self, items: Sequence[BatchItem]) -> asyncio.Future[BatchAnswers[BatchResult]]:
        """Request items that are answered together, each with its result or its error. Raises BatchingThreadClosed."""
        future: asyncio.Future[BatchAnswers[BatchResult]] = self._loop.create_future()
        self._enqueue((items, lambda answers: _resolve(future, answers)))
        return future

    async def aclose(self, time_limit: float | None = None) -> bool:
        """Process the submitted requests, then end the thread. Return whether it ended within `time_limit` seconds."""
        if not self._closed:
            self._closed = True
            self._flush()
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join, time_limit)
        return not self._thread.is_alive()

    def _enqueue(self, request: _Request[BatchItem, BatchResult]) -> None:
        if self._closed:
            raise BatchingThreadClosed
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(request)

    def _flush(self) -> None:
        if self._pending:
            self._queue.put(self._pending)
            self._pending = []

    def _process_batches(self) -> None:
        open_ = True
        while open_:
            group = self._queue.get()
            if group is None:
                return
            number = _count_items(group)
            while number < MAX_BATCH and not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    open_ = False
                    break
                group += more
                number += _count_items(more)
            self._process_batch(group)

    def _process_batch(self, group: list[_Request[BatchItem, BatchResult]]) -> None:
        items = [item for items, _ in group for item in items]
        try:
            answers = self._process(items)
        except Exception as error:
            answers = [error] * len(items)
        try:
            self._loop.call_soon_threadsafe(_deliver_answers, group, answers)
        except RuntimeError:
            return  # the loop is closed


def _count_items(requests: Sequence[_Request[BatchItem, BatchResult]]) -> int:
    return sum(len(items) for items, _ in requests)


def _deliver_answers(group: Sequence[_Request[BatchItem, BatchResult]], answers: BatchAnswers[BatchResult]) -> None:
    start = 0
    for items, deliver in group:
        deliver(answers[start : start + len(items)])
        start += len(items)


def _resolve(future: asyncio.Future[BatchResult], answer: BatchResult | Exception) -> None:
    if future.done():
        return  # its caller was cancelled
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


CLOSE_TIMEOUT = 2.0
"""Seconds at the end for requests that are in flight. Another process that locks the file must not delay the end."""
CHECKPOINT_INTERVAL_CHANGES = 1500
"""Changes between two checkpoints, each about one page in the WAL."""


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
        if len(groups) <= MAX_BATCH:
            return await self._apply_groups(groups)
        answers: list[Etags | StoreError] = []
        for start in range(0, len(groups), MAX_BATCH):
            some = groups[start : start + MAX_BATCH]
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
