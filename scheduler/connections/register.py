"""Registers the connections of a server, and closes idle ones for new ones.

Called by scheduler.connections.protocol; its health by scheduler.app.health_probes. At the limit, the register closes
the connection that has waited longest for the rest of its request, of the address with most connections. So a client
that only holds connections loses them first. Behind a proxy, all connections have one address: it has no limit.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from jobs.formats import format_count

RESERVED_CONNECTIONS = 16
"""Connections beyond the limit if no connection can be closed: they serve health requests only."""
SHORTAGE_REMEMBERED_S = 60.0
"""Seconds for which health reports connections that were closed or rejected."""
CLOSE_LOG_INTERVAL = 60.0
"""Seconds between two log lines about them: a flood of connections must not flood the log."""
MAX_UNSENT_BYTES = 64 * 1024 * 1024
"""Bytes of unread responses, over all connections."""

_log = logging.getLogger("scheduler.connections")


class ConnectionAdmission(StrEnum):
    """How a new connection is admitted."""

    FREE = "free"
    RESERVE = "reserve"
    NONE = "none"


class CloseReason(StrEnum):
    """Why a connection was closed or rejected; the values are texts of the log."""

    FULL = "rejected because all connections were in use"
    EVICTED = "closed for new connections"
    SLOW_REQUEST = "closed because the request was not complete in time"
    SLOW_READER = "closed because the client did not read its response"
    MALFORMED = "closed because the request was malformed or too large"


class ServerConnection(Protocol):
    """A connection as the register uses it."""

    peer: str

    def evict(self) -> None:
        """Close it for a new connection."""

    def check_timeouts(self, now: float) -> None:
        """Close it after a timeout. `now`: monotonic seconds."""

    def unsent_bytes(self) -> int:
        """Return the bytes that the client has not read."""

    def abort(self) -> None:
        """Close it without sending the rest."""


class ConnectionRegister:
    """All open connections of one server; for use on its event loop."""

    def __init__(self, max_connections: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`max_connections`: without the reserve. `clock`: monotonic seconds."""
        self.max_connections = max_connections
        self.clock = clock
        self._open: dict[ServerConnection, None] = {}
        self._waiting: dict[ServerConnection, None] = {}
        """Connections that may be closed for others; the one that has waited longest is first."""
        self._reserve: set[ServerConnection] = set()
        self._peers: Counter[str] = Counter()
        self._recent: deque[float] = deque(maxlen=10_000)
        """When connections were closed or rejected at the limit."""
        self._unlogged: Counter[CloseReason] = Counter()
        self._logged_at = float("-inf")

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: ServerConnection) -> ConnectionAdmission:
        """Admit a new connection if the limit allows it, or if another one can be closed."""
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
        """Close the connection that has waited longest, of the address with most connections; False without one."""
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
        """Remove a connection, if it is registered."""
        self._waiting.pop(connection, None)
        self._reserve.discard(connection)
        if connection in self._open:
            del self._open[connection]
            self._peers[connection.peer] -= 1
            if not self._peers[connection.peer]:
                del self._peers[connection.peer]

    def mark_waiting(self, connection: ServerConnection) -> None:
        """Record that the server waits for the client: for a request, the rest of it, or until it reads."""
        if connection in self._open:
            self._waiting[connection] = None

    def mark_working(self, connection: ServerConnection) -> None:
        """Record that the request is complete: the client waits for the server."""
        self._waiting.pop(connection, None)

    def check_all(self) -> None:
        """Close connections after their timeouts, and log their number; called each second."""
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
        """Close the connections with most unread bytes until the total is below its limit."""
        slow = sorted(((each.unsent_bytes(), each) for each in self._open), key=lambda pair: pair[0])
        total = sum(size for size, _ in slow)
        while total > MAX_UNSENT_BYTES:
            size, connection = slow.pop()
            total -= size
            self.count_closed(CloseReason.SLOW_READER)
            connection.abort()

    def count_closed(self, reason: CloseReason) -> None:
        """Count a connection that is closed or rejected."""
        self._unlogged[reason] += 1
        if reason in (CloseReason.FULL, CloseReason.EVICTED):
            self._recent.append(self.clock())

    def describe_shortage(self) -> str:
        """Return a message if connections were rejected or closed at the limit recently; empty otherwise."""
        now = self.clock()
        while self._recent and now - self._recent[0] > SHORTAGE_REMEMBERED_S:
            self._recent.popleft()
        if not self._recent:
            return ""
        peer, number = next(iter(self._peers.most_common(1)), ("none", 0))
        refused = format_count(len(self._recent), "connection")
        return (
            f"the API rejected or closed {refused} at its limit in {SHORTAGE_REMEMBERED_S:g} s: "
            f"{len(self._open)} of at most {self.max_connections} are open, {number} of them from "
            f"{peer}; stop the program that "
            "opens them, or raise the limit of open files (ulimit -n)"
        )
