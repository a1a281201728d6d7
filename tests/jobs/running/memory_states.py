"""A `jobs.ports.CircuitStateStore` in memory that counts, and can fail, hang or be overtaken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class MemoryStates:
    def __init__(self) -> None:
        self.stored: dict[str, tuple[str, int]] = {}
        self.reads = 0
        self.writes = 0
        self.away: Exception | None = None
        self.hangs = False
        self.answer_lost: Exception | None = None
        """Raised by the next write, which is done all the same."""
        self.overtake: Callable[[], None] | None = None
        """Called once, between a read and the write after it."""

    async def load(self, key: str) -> tuple[str | None, str | None]:
        self.reads += 1
        await self._reach()
        text, version = self.stored.get(key, (None, 0))
        return text, str(version) if text is not None else None

    async def replace(self, key: str, state: str, etag: str | None) -> bool:
        await self._reach()
        if self.overtake is not None:
            overtake, self.overtake = self.overtake, None
            overtake()
        _, version = self.stored.get(key, (None, 0))
        if etag != (str(version) if version else None):
            return False
        self.writes += 1
        self.stored[key] = (state, version + 1)
        if self.answer_lost is not None:
            lost, self.answer_lost = self.answer_lost, None
            raise lost
        return True

    def put(self, key: str, state: str) -> None:
        """Somebody else's write."""
        self.stored[key] = (state, self.stored.get(key, ("", 0))[1] + 1)

    async def _reach(self) -> None:
        await asyncio.sleep(0)
        if self.away is not None:
            raise self.away
        if self.hangs:
            await asyncio.Event().wait()
