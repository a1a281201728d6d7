"""A thread for calls that block, so that the event loop does not. The SQLite store has one for writing and one for
reading.

Requests of one turn of the loop are sent together, and everything that waits when the thread is free is processed as
one batch: a thread switch costs more than most of the requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

LARGEST_BATCH = 500
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
            while number < LARGEST_BATCH and not self._queue.empty():
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
