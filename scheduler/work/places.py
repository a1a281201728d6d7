"""Places of those who work at a time, handed on in the order in which they are asked for. Used by performing."""

from __future__ import annotations

import asyncio
from collections import deque


class Places:
    """A place that becomes free is the next one's at once. asyncio.Semaphore only wakes who waits, and looks past all
    who were woken and had no turn yet: with many runs that end together, a hundred for each place."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def full(self) -> bool:
        """Whether somebody who takes a place has to wait for it."""
        return not self._free

    async def take(self) -> None:
        """Wait for a place. Who is cancelled has none."""
        if self._free:
            self._free -= 1
            return
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(called)
        try:
            await called
        except asyncio.CancelledError:
            if not called.cancelled():
                self.leave()  # it was given one in the same moment
            raise

    def leave(self) -> None:
        """Give a place back."""
        while self._waiting:
            called = self._waiting.popleft()
            if not called.done():
                called.set_result(None)
                return
        self._free += 1
