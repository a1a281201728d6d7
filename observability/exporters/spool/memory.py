"""Requests in memory, where no folder can be written. Used by observability.exporters.spool.spool."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from observability.exporters.spool.request import SpooledRequest


@dataclass(frozen=True, slots=True)
class _MemoryClaim:
    request: SpooledRequest
    waiting: deque[SpooledRequest]

    def delete(self) -> None:
        pass

    def release(self) -> None:
        self.waiting.appendleft(self.request)


class RequestMemory:
    """Not thread-safe: the spool has a lock."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._waiting: dict[str, deque[SpooledRequest]] = {}

    def put(self, request: SpooledRequest) -> int:
        """Return the number of items of the oldest ones that gave way."""
        self._waiting.setdefault(request.intake, deque()).append(request)
        lost = 0
        while self.size > self._max_size and len(self.requests()) > 1:
            oldest = min((queue for queue in self._waiting.values() if queue), key=lambda queue: queue[0].made_at)
            lost += oldest.popleft().items
        return lost

    def claim_oldest(self, intake: str) -> _MemoryClaim | None:
        waiting = self._waiting.get(intake)
        return _MemoryClaim(waiting.popleft(), waiting) if waiting else None

    def requests(self, intake: str | None = None) -> list[SpooledRequest]:
        """Return what waits, for one intake or for all."""
        if intake is not None:
            return list(self._waiting.get(intake, ()))
        return [request for queue in self._waiting.values() for request in queue]

    @property
    def size(self) -> int:
        return sum(len(request.body) for request in self.requests())
