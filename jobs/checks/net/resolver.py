"""Resolve names in dedicated threads. Called by network.py.

Not in the loop's executor: a silent name server blocks a thread for many seconds, and other work must not wait for it.
The threads are daemons because such a lookup cannot be cancelled at exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import threading
from dataclasses import dataclass

from jobs.checks.files.descriptors import check_descriptors

MOST_RESOLVER_THREADS = 256
"""Names that may be silent at a time before others wait, and seem silent, too: all of a zone that is down. A thread is
started on demand, and takes some 20 KiB."""


MOST_ADDRESSES = 100
"""Addresses of a name that are checked and tried; a DNS answer may have thousands."""


@dataclass(frozen=True, slots=True)
class ResolvedAddress:
    """One numeric address of a host."""

    family: int
    host: str
    port: int


_Key = tuple[str, int]
_Job = tuple[_Key, asyncio.AbstractEventLoop, "asyncio.Future[list[ResolvedAddress]]"]


class Resolver:
    """Resolves names, for one event loop. Concurrent lookups of a name share one, so a bad name takes one thread."""

    def __init__(self, threads: int = MOST_RESOLVER_THREADS) -> None:
        self._most = threads
        self._threads = 0
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._pending: dict[_Key, asyncio.Future[list[ResolvedAddress]]] = {}

    async def resolve(self, host: str, port: int) -> list[ResolvedAddress]:
        """Return the addresses of a host in the order in which to try them; never empty.

        Raises:
            socket.gaierror: the name is unknown, or the lookup failed.
            OSError: there was no file descriptor for the lookup.
            UnicodeError: not a valid name.
        """
        key = (host, port)
        going = self._pending.get(key)
        if going is None:
            going = self._start(key)
        # One cancelled caller must not end the lookup for the others.
        return await asyncio.shield(going)

    def close(self) -> None:
        """Let the threads end once they are idle."""
        for _ in range(self._threads):
            self._queue.put(None)

    def _start(self, key: _Key) -> asyncio.Future[list[ResolvedAddress]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[ResolvedAddress]] = loop.create_future()
        self._pending[key] = future
        future.add_done_callback(lambda done: self._on_done(key, done))
        self._queue.put((key, loop, future))
        if self._threads < min(self._most, len(self._pending)):
            self._threads += 1
            threading.Thread(target=self._run_thread, name="resolver", daemon=True).start()
        return future

    def _on_done(self, key: _Key, done: asyncio.Future[list[ResolvedAddress]]) -> None:
        self._pending.pop(key, None)
        if not done.cancelled():
            done.exception()  # without a waiter, asyncio would log the error

    def _run_thread(self) -> None:
        while (job := self._queue.get()) is not None:
            key, loop, future = job
            try:
                found: list[ResolvedAddress] | Exception = _look_up(*key)
            except Exception as error:
                found = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: there is no waiter
                loop.call_soon_threadsafe(_set_outcome, future, found)
            del job, future, found


def _look_up(host: str, port: int) -> list[ResolvedAddress]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        check_descriptors()
        raise
    found = found[:MOST_ADDRESSES]
    return [ResolvedAddress(int(family), str(address[0]), port) for family, _, _, _, address in found]


def _set_outcome(future: asyncio.Future[list[ResolvedAddress]], found: list[ResolvedAddress] | Exception) -> None:
    if future.done():
        return
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)
