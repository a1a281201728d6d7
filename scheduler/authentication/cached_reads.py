"""Reads of the store that are cached for a few seconds, and longer while the store is unavailable. Used by
scheduler.authentication.key_verifier and sessions.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from jobs.ports import Clock
from scheduler.stores.port import StoreError

FRESH_TIME = 5.0
"""Seconds for which a read is valid: within this time a change by another process is in force."""
STALE_TIME = 300.0
"""Seconds after its last read for which an object is used while the store is unavailable."""
MAX_CACHED = 1000

T = TypeVar("T")


@dataclass(slots=True)
class _Read(Generic[T]):
    """`value`: None if the object does not exist."""

    value: T | None
    read_at: float


class CachedReads(Generic[T]):
    def __init__(self, read: Callable[[str], Awaitable[T | None]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._cached: OrderedDict[str, _Read[T]] = OrderedDict()
        self._reading: dict[str, asyncio.Task[T | None]] = {}

    async def find(self, key: str) -> T | None:
        """Return the object; None if it does not exist. Raises StoreError: it is neither readable nor cached."""
        known = self._cached.get(key)
        if known is not None and self._age(known) < FRESH_TIME:
            return known.value
        try:
            value = await self._read_once(key)
        except StoreError:
            if known is not None and known.value is not None and self._age(known) < STALE_TIME:
                return known.value
            raise
        self.store(key, value)
        return value

    def store(self, key: str, value: T | None) -> None:
        """Cache an object. Unknown keys, which anyone can send, never displace known ones."""
        if value is None and key not in self._cached and len(self._cached) >= MAX_CACHED:
            return
        self._cached[key] = _Read(value, self._clock.monotonic())
        self._cached.move_to_end(key)
        if len(self._cached) > MAX_CACHED:
            self._cached.popitem(last=False)

    def _age(self, known: _Read[T]) -> float:
        return self._clock.monotonic() - known.read_at

    async def _read_once(self, key: str) -> T | None:
        """Read the object; concurrent requests for it share one read."""
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.ensure_future(self._read(key))
            reading.add_done_callback(lambda done: self._end_read(key, done))
        return await asyncio.shield(reading)

    def _end_read(self, key: str, done: asyncio.Task[T | None]) -> None:
        del self._reading[key]
        if not done.cancelled():
            done.exception()  # retrieved here: every request that waits may have been cancelled
