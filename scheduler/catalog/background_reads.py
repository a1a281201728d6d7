"""Reads that a caller waits for only for a while.

Used by scheduler.catalog.reloading and scheduler.catalog.stored_jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class BackgroundReads:
    """Reads that continue in the background when their caller does not wait any longer."""

    def __init__(self) -> None:
        self._reads: set[asyncio.Task[Any]] = set()

    @property
    def is_pending(self) -> bool:
        return bool(self._reads)

    async def start(self, read: Coroutine[Any, Any, Any], time_limit: float) -> None:
        """Start a read and wait at most `time_limit` seconds for it."""
        task = asyncio.create_task(read)
        self._reads.add(task)
        task.add_done_callback(self._reads.discard)
        await asyncio.wait({task}, timeout=time_limit)

    async def aclose(self) -> None:
        """Cancel the reads in progress."""
        for task in self._reads:
            task.cancel()
        await asyncio.gather(*self._reads, return_exceptions=True)
