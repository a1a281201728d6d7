"""Counts the connections of a server, and makes room for new ones. Used by protocol; its health by scheduler.app.health_probes.

At the limit the connection that has waited longest for the rest of its request is closed, of the address that has most
of them: whoever holds connections without asking anything loses them first, and somebody who asks is served. Behind a
proxy all connections have one address, so there is no limit for an address alone.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

RESERVED_CONNECTIONS = 16
"""Connections past the limit, when no connection can be closed: health is answered on them, and nothing else."""
SHORTAGE_REMEMBERED_S = 60.0
"""Seconds for which health speaks of connections that were closed or refused."""
CLOSE_LOG_INTERVAL = 60.0
"""Seconds between two log lines about them: whoever floods the port must not flood the log."""
MAX_UNSENT_BYTES = 64 * 1024 * 1024
"""Bytes of answers that clients do not read, over all connections."""

_log = logging.getLogger("scheduler.connections")


class ConnectionAdmission(StrEnum):
    """What a new connection gets."""

    FREE = "free"
    RESERVE = "reserve"
    NONE = "none"


class CloseReason(StrEnum):
    """Why a connection was closed or refused, as the log says it."""

    FULL = "refused, as all connections were in use"
    EVICTED = "closed to make room for others"
    SLOW_REQUEST = "closed, as the request was not complete in time"
    SLOW_READER = "closed, as the client did not read its answer"
    MALFORMED = "closed, as the request was malformed or too large"


class ServerConnection(Protocol):
    """What the register does with a connection."""

    peer: str

    def evict(self) -> None:
        """Close it for another one."""

    def check_timeouts(self, now: float) -> None:
        """Close it if it has taken too long. `now` is monotonic, in seconds."""

    def unsent_bytes(self) -> int:
        """Bytes that wait for the client to read."""

    def abort(self) -> None:
        """Close it without sending what waits."""


class ConnectionRegister:
    """All open connections of one server; for use on its event loop."""

    def __init__(self, max_connections: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`most`: connections at once, without the reserve. `clock`: monotonic, in seconds."""
        self.max_connections = max_connections
        self.clock = clock
        self._open: dict[ServerConnection, None] = {}
        self._waiting: dict[ServerConnection, None] = {}
        """Those that could be closed for others, by the time for which they wait, longest first."""
        self._reserve: set[ServerConnection] = set()
        self._peers: Counter[str] = Counter()
        self._recent: deque[float] = deque(maxlen=10_000)
        """When connections were closed or refused for want of room."""
        self._unlogged: Counter[CloseReason] = Counter()
        self._logged_at = float("-inf")

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: ServerConnection) -> ConnectionAdmission:
        """Take a new connection in, unless there is no room for it; close another one if that makes room."""
        room = self._room()
        if room is ConnectionAdmission.NONE:
            self.count_closed(CloseReason.FULL)
            return room
        self._open[connection] = None
        self._waiting[connection] = None
        if room is ConnectionAdmission.RESERVE:
            self._reserve.add(connection)
        self._peers[connection.peer] += 1
        return room

    def _room(self) -> ConnectionAdmission:
        if len(self._open) - len(self._reserve) < self.max_connections or self._evict(of_reserve=False):
            return ConnectionAdmission.FREE
        if len(self._reserve) < RESERVED_CONNECTIONS or self._evict(of_reserve=True):
            return ConnectionAdmission.RESERVE
        return ConnectionAdmission.NONE

    def _evict(self, *, of_reserve: bool) -> bool:
        """Close the connection that has waited longest, of the address with most of them; False if none waits."""
        most = max(self._peers.values(), default=0)
        longest = None
        for each in self._waiting:
            if (each in self._reserve) is of_reserve:
                longest = longest or each
                if self._peers[each.peer] == most:
                    longest = each
                    break
        if longest is None:
            return False
        self.remove(longest)
        self.count_closed(CloseReason.EVICTED)
        longest.evict()
        return True

    def remove(self, connection: ServerConnection) -> None:
        """Forget a connection; one that is not known stays so."""
        self._waiting.pop(connection, None)
        self._reserve.discard(connection)
        if connection in self._open:
            del self._open[connection]
            self._peers[connection.peer] -= 1
            if not self._peers[connection.peer]:
                del self._peers[connection.peer]

    def mark_waiting(self, connection: ServerConnection) -> None:
        """Note that the server waits for the client from now on: for a request, its rest, or until it reads."""
        if connection in self._open:
            self._waiting[connection] = None

    def mark_working(self, connection: ServerConnection) -> None:
        """Note that the request is complete: the client waits for the server."""
        self._waiting.pop(connection, None)

    def check_all(self) -> None:
        """Close what has taken too long; called each second. Logs what was closed since the last line."""
        now = self.clock()
        for connection in tuple(self._open):
            connection.check_timeouts(now)
        if self._unlogged and now - self._logged_at >= CLOSE_LOG_INTERVAL:
            found = ", ".join(f"{number} {reason}" for reason, number in self._unlogged.most_common())
            _log.warning(
                "connections of the API: %s; %d of at most %d are open", found, len(self._open), self.max_connections
            )
            self._unlogged.clear()
            self._logged_at = now

    def drop_slow_readers(self) -> None:
        """Drop the connections with most bytes unread while all together have too many."""
        slow = sorted(((each.unsent_bytes(), each) for each in self._open), key=lambda pair: pair[0])
        total = sum(size for size, _ in slow)
        while total > MAX_UNSENT_BYTES:
            size, connection = slow.pop()
            total -= size
            self.count_closed(CloseReason.SLOW_READER)
            connection.abort()

    def count_closed(self, reason: CloseReason) -> None:
        """Note that a connection is closed or refused."""
        self._unlogged[reason] += 1
        if reason in (CloseReason.FULL, CloseReason.EVICTED):
            self._recent.append(self.clock())

    def describe_shortage(self) -> str:
        """Return a sentence if connections were refused or closed for want of room lately; empty otherwise."""
        now = self.clock()
        while self._recent and now - self._recent[0] > SHORTAGE_REMEMBERED_S:
            self._recent.popleft()
        if not self._recent:
            return ""
        peer, number = next(iter(self._peers.most_common(1)), ("none", 0))
        return (
            f"the API refused a connection, or closed one to make room, {len(self._recent)} times in {SHORTAGE_REMEMBERED_S:g} s: "
            f"{len(self._open)} of at most {self.max_connections} are open, {number} of them from {peer}; end the program that "
            "opens them, or raise the limit of open files (ulimit -n)"
        )
