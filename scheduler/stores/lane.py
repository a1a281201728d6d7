"""A thread of its own for calls that block, so that the event loop does not. The SQLite store has one for writing and
one for reading.

Requests of one turn of the loop travel together, and everything that waits when the thread is free is worked off as
one group: a switch of threads costs more than most of the requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

LARGEST_GROUP = 500
"""Requests. Bounds how long one group keeps the others waiting."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class LaneClosed(Exception):
    """A request came after the lane was closed."""


class Lane(Generic[Item, Result]):
    """Made on the loop that it serves. `work` runs in the thread; it answers every item with a result or an error."""

    def __init__(self, name: str, work: Callable[[Sequence[Item]], Sequence[Result | Exception]]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._gathered: list[tuple[Item, asyncio.Future[Result]]] = []
        self._queue: SimpleQueue[list[tuple[Item, asyncio.Future[Result]]] | None] = SimpleQueue()
        self._closed = False
        # A daemon: a process that ends without closing its store must not hang. What was answered is committed.
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """Call on the loop. Raises LaneClosed."""
        if self._closed:
            raise LaneClosed
        future: asyncio.Future[Result] = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._send)
        self._gathered.append((item, future))
        return future

    async def aclose(self) -> None:
        """Work off what was submitted, then end the thread."""
        if self._closed:
            return
        self._closed = True
        self._send()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _send(self) -> None:
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    def _run(self) -> None:
        open_ = True
        while open_:
            group = self._queue.get()
            if group is None:
                return
            while len(group) < LARGEST_GROUP and not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    open_ = False
                    break
                group += more
            self._answer(group)

    def _answer(self, group: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        futures = [future for _, future in group]
        try:
            answers = self._work([item for item, _ in group])
        except Exception as error:
            answers = [error] * len(group)
        try:
            self._loop.call_soon_threadsafe(_settle, futures, answers)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more


def _settle(futures: Sequence[asyncio.Future[Result]], answers: Sequence[Result | Exception]) -> None:
    for future, answer in zip(futures, answers, strict=True):
        if future.done():
            continue  # its caller was cancelled
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
