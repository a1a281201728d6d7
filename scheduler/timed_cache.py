"""Caches what takes long to compute, for a multiple of that time. Used by scheduler.features.statistics.queries and
scheduler.metrics.page.

So a share of the time is spent on it at most, whatever clients request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from jobs.ports import Clock

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Cached(Generic[Value]):
    task: asyncio.Task[Value]
    until: float


class TimedCache(Generic[Value]):
    """Concurrent requests for the same key share one computation, which continues without those that requested it.

    A value is cached for `factor` times as long as computing it took, at most `max_seconds`, and for the last `size`
    keys.
    """

    def __init__(self, clock: Clock, factor: float, max_seconds: float, size: int) -> None:
        self._clock = clock
        self._factor = factor
        self._max_seconds = max_seconds
        self._size = size
        self._cached: dict[Hashable, _Cached[Value]] = {}
        self._tasks: set[asyncio.Task[Value]] = set()

    async def get(self, key: Hashable, seconds: float, compute: Callable[[], Awaitable[Value]]) -> Value:
        """Return the cached value of this key, or compute it and cache it for at least so many seconds."""
        now = self._clock.monotonic()
        found = self._cached.get(key)
        if found is not None and now < found.until:
            return await asyncio.shield(found.task)
        for known in [known for known, each in self._cached.items() if now >= each.until]:
            del self._cached[known]
        task = asyncio.ensure_future(self._compute(key, seconds, compute))
        self._tasks.add(task)
        task.add_done_callback(self._finish)
        self._cached[key] = _Cached(task, float("inf"))
        while len(self._cached) > self._size:
            del self._cached[next(iter(self._cached))]
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Cancel the computations that continue."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _compute(self, key: Hashable, seconds: float, compute: Callable[[], Awaitable[Value]]) -> Value:
        began = self._clock.monotonic()
        try:
            value = await compute()
        except BaseException:
            self._cached.pop(key, None)
            raise
        now = self._clock.monotonic()
        current = self._cached.get(key)
        if current is not None:
            cached_for = min(max(seconds, self._factor * (now - began)), self._max_seconds)
            self._cached[key] = _Cached(current.task, now + cached_for)
        return value

    def _finish(self, task: asyncio.Task[Value]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # a request that waits raises it; without one it is not an error
