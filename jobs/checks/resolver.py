"""Looks names up in threads of its own. Called by network.py.

Not in the loop's executor: a name server that stays silent blocks a thread for many seconds, other work must not queue
behind it, and the threads are daemons because such a look-up cannot be broken off when the program ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import threading
from dataclasses import dataclass

from jobs.checks.files.descriptors import check_descriptors

MOST_THREADS = 256
"""As many names may be silent at a time before others wait for them, and seem to be silent, too: all of a zone that is
down. A thread is made when it is needed, and takes some 20 KiB."""


MOST_ADDRESSES = 100
"""Addresses of a name that are looked at, and so tried; an answer of the DNS may have thousands."""


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a host, numeric."""

    family: int
    host: str
    port: int


_Key = tuple[str, int]
_Job = tuple[_Key, asyncio.AbstractEventLoop, "asyncio.Future[list[Address]]"]


class Resolver:
    """For one event loop. Look-ups of the same name at the same time are one: so a bad name takes one thread."""

    def __init__(self, threads: int = MOST_THREADS) -> None:
        self._most = threads
        self._threads = 0
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._going: dict[_Key, asyncio.Future[list[Address]]] = {}

    async def addresses(self, host: str, port: int) -> list[Address]:
        """The addresses of a host in the order in which to try them; never empty.

        Raises:
            socket.gaierror: the name is unknown, or nobody could say.
        OSError: there was no file descriptor to look it up with.
            UnicodeError: no name at all.
        """
        key = (host, port)
        going = self._going.get(key)
        if going is None:
            going = self._begin(key)
        # Whoever gives up must not end the look-up for the others.
        return await asyncio.shield(going)

    def close(self) -> None:
        """Let the threads end once they have nothing to do."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _begin(self, key: _Key) -> asyncio.Future[list[Address]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Address]] = loop.create_future()
        self._going[key] = future
        future.add_done_callback(lambda done: self._ended(key, done))
        self._jobs.put((key, loop, future))
        if self._threads < min(self._most, len(self._going)):
            self._threads += 1
            threading.Thread(target=self._work, name="resolver", daemon=True).start()
        return future

    def _ended(self, key: _Key, done: asyncio.Future[list[Address]]) -> None:
        self._going.pop(key, None)
        if not done.cancelled():
            done.exception()  # nobody may be waiting any more, and asyncio would complain

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            key, loop, future = job
            try:
                found: list[Address] | Exception = _look_up(*key)
            except Exception as error:
                found = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(_settle, future, found)
            del job, future, found


def _look_up(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        check_descriptors()
        raise
    found = found[:MOST_ADDRESSES]
    return [Address(int(family), str(address[0]), port) for family, _, _, _, address in found]


def _settle(future: asyncio.Future[list[Address]], found: list[Address] | Exception) -> None:
    if future.done():
        return
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)
