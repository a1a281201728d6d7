"""Caches sums of rollups. Used by scheduler.queries.statistics.reader."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from jobs.ports import Clock
from scheduler.queries.statistics.sums import StatsSums

CACHE_FACTOR = 20
"""Sums are cached for so many times as long as reading them took: at most 5 % of the time is spent reading."""
MAX_CACHED_SECONDS = 600.0
MAX_CACHED_SUMS = 500
"""Each takes about 10 KB."""


@dataclass(frozen=True, slots=True)
class _CachedSums:
    reading: asyncio.Task[StatsSums]
    until: float


class SumsCache:
    """Concurrent requests for the same sums share one reading."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cached: dict[Hashable, _CachedSums] = {}

    async def get(self, key: Hashable, seconds: float, read: Callable[[], Awaitable[StatsSums]]) -> StatsSums:
        """Return the cached sums of this key, or read them and cache them for at least so many seconds."""
        found = self._cached.get(key)
        if found is not None and self._clock.monotonic() < found.until:
            return await asyncio.shield(found.reading)
        task = asyncio.ensure_future(self._read(key, seconds, read))
        self._cached.pop(key, None)
        self._cached[key] = _CachedSums(task, float("inf"))
        while len(self._cached) > MAX_CACHED_SUMS:
            del self._cached[next(iter(self._cached))]
        return await asyncio.shield(task)

    async def _read(self, key: Hashable, seconds: float, read: Callable[[], Awaitable[StatsSums]]) -> StatsSums:
        began = self._clock.monotonic()
        try:
            sums = await read()
        except BaseException:
            self._cached.pop(key, None)
            raise
        now = self._clock.monotonic()
        current = self._cached.get(key)
        if current is not None:
            cached_for = min(max(seconds, CACHE_FACTOR * (now - began)), MAX_CACHED_SECONDS)
            self._cached[key] = _CachedSums(current.reading, now + cached_for)
        return sums
