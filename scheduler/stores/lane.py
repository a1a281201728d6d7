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
"""Items. Bounds how long one group keeps the others waiting."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class LaneClosed(Exception):
    """A request came after the lane was closed."""


Answers = Sequence[Result | Exception]
_Request = tuple[Sequence[Item], Callable[[Answers[Result]], None]]
"""Items, and who is told their answers."""


class Lane(Generic[Item, Result]):
    """Made on the loop that it serves. `work` runs in the thread; it answers every item with a result or an error."""

    def __init__(self, name: str, work: Callable[[Sequence[Item]], Answers[Result]]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._gathered: list[_Request[Item, Result]] = []
        self._queue: SimpleQueue[list[_Request[Item, Result]] | None] = SimpleQueue()
        self._closed = False
        # A daemon: a process that ends without closing its store must not hang. What was answered is committed.
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """Call on the loop. Raises LaneClosed."""
        future: asyncio.Future[Result] = self._loop.create_future()
        self._gather(([item], lambda answers: _settle(future, answers[0])))
        return future

    def submit_all(self, items: Sequence[Item]) -> asyncio.Future[Answers[Result]]:
        """Items that are answered together, each with its result or its error. Raises LaneClosed."""
        future: asyncio.Future[Answers[Result]] = self._loop.create_future()
        self._gather((items, lambda answers: _settle(future, answers)))
        return future

    async def aclose(self, patience: float | None = None) -> bool:
        """Work off what was submitted, then end the thread. Returns whether it has ended within `patience` seconds."""
        if not self._closed:
            self._closed = True
            self._send()
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join, patience)
        return not self._thread.is_alive()

    def _gather(self, request: _Request[Item, Result]) -> None:
        if self._closed:
            raise LaneClosed
        if not self._gathered:
            self._loop.call_soon(self._send)
        self._gathered.append(request)

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
            number = _items(group)
            while number < LARGEST_GROUP and not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    open_ = False
                    break
                group += more
                number += _items(more)
            self._answer(group)

    def _answer(self, group: list[_Request[Item, Result]]) -> None:
        items = [item for items, _ in group for item in items]
        try:
            answers = self._work(items)
        except Exception as error:
            answers = [error] * len(items)
        try:
            self._loop.call_soon_threadsafe(_tell, group, answers)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more


def _items(requests: Sequence[_Request[Item, Result]]) -> int:
    return sum(len(items) for items, _ in requests)


def _tell(group: Sequence[_Request[Item, Result]], answers: Answers[Result]) -> None:
    start = 0
    for items, told in group:
        told(answers[start : start + len(items)])
        start += len(items)


def _settle(future: asyncio.Future[Result], answer: Result | Exception) -> None:
    if future.done():
        return  # its caller was cancelled
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
