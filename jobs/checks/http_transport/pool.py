"""The pool of idle connections to targets. Used by jobs.checks.http_transport.transport.

It has a stack for each origin: the connection used last is the likeliest to be alive, and unused ones age at the
bottom. Acquiring and releasing cost the same for any number of connections.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque

from jobs.checks.net.connection import TargetConnection

IDLE_SECONDS = 30.0
"""Seconds after which an unused connection is closed."""

MAX_IDLE_PER_ORIGIN = 16
"""Idle connections of one origin."""

MAX_IDLE = 1024
"""Idle connections of all origins."""

_SWEEP_INTERVAL = 5.0
"""Seconds between two searches for connections that have been idle for too long."""

PoolKey = tuple[str, int, ssl.SSLContext | None]
"""Host, port, and how its certificate is verified: jobs with different trust share no connection."""


class ConnectionPool:
    """Idle connections, for one event loop."""

    def __init__(self) -> None:
        self._idle: dict[PoolKey, deque[tuple[float, TargetConnection]]] = {}
        self._count = 0
        self._sweeping: asyncio.TimerHandle | None = None

    def acquire(self, place: PoolKey) -> TargetConnection | None:
        """Return a connection that seems to be open; the caller owns it."""
        idle = self._idle.get(place)
        while idle:
            _, connection = idle.pop()
            self._count -= 1
            if connection.is_idle:
                return connection
            connection.abort()
        return None

    def release(self, place: PoolKey, connection: TargetConnection) -> None:
        """Pool a connection for the next request, or close it if the pool is full."""
        if self._count >= MAX_IDLE or not connection.is_idle:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        idle = self._idle.setdefault(place, deque())
        idle.append((loop.time() + IDLE_SECONDS, connection))
        self._count += 1
        if len(idle) > MAX_IDLE_PER_ORIGIN:
            self._drop(idle)
        if self._sweeping is None:
            self._sweeping = loop.call_later(_SWEEP_INTERVAL, self._sweep)

    def close(self) -> None:
        """Close all of them."""
        for idle in self._idle.values():
            while idle:
                self._drop(idle)
        self._idle.clear()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for place, idle in list(self._idle.items()):
            while idle and (idle[0][0] <= loop.time() or not idle[0][1].is_idle):
                self._drop(idle)
            if not idle:
                del self._idle[place]
        self._sweeping = loop.call_later(_SWEEP_INTERVAL, self._sweep) if self._idle else None

    def _drop(self, idle: deque[tuple[float, TargetConnection]]) -> None:
        """Close the oldest of an origin."""
        idle.popleft()[1].close()
        self._count -= 1
