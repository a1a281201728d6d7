"""Sleeps that the end of the program interrupts.

Called by scheduler.worker.concurrency.place_assignment; built by scheduler.worker.worker_dependencies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

from jobs.ports import Clock

_TIMER_TOLERANCE = timedelta(milliseconds=5)
"""Timers fire early by a little, and the two clocks differ by a little."""
_MIN_SLEEP = 0.001
"""Seconds: timers of the event loop count milliseconds, so a shorter sleep would spin."""


class InterruptibleSleep:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: set[asyncio.Task[Any]] = set()
        self.is_interrupted = False
        """Whether the program ends."""

    async def sleep_until(self, instant: datetime) -> None:
        """Return at the instant, not before it, even if the wall clock is set meanwhile.

        Raises:
            asyncio.CancelledError: the program ends.
        """
        seconds = (instant - self._clock.now()).total_seconds()
        if seconds > 0:
            await self.wait_for(self._sleep(seconds, instant))

    def raise_if_interrupted(self) -> None:
        """Raise asyncio.CancelledError if the program ends: no run starts from then on."""
        if self.is_interrupted:
            raise asyncio.CancelledError

    async def wait_for(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Wait for the coroutine. Raises asyncio.CancelledError if the program ends."""
        if self.is_interrupted:
            coroutine.close()
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await coroutine
        finally:
            self._tasks.discard(task)

    async def _sleep(self, seconds: float, instant: datetime) -> None:
        end = self._clock.monotonic() + seconds
        while seconds > 0:
            await self._clock.sleep(max(seconds, _MIN_SLEEP))
            seconds = end - self._clock.monotonic()
        while timedelta() < (left := instant - self._clock.now()) < _TIMER_TOLERANCE:
            await self._clock.sleep(max(left.total_seconds(), _MIN_SLEEP))

    def interrupt(self) -> None:
        """Cancel every waiting task, and those that would wait from now on."""
        self.is_interrupted = True
        for task in tuple(self._tasks):
            task.cancel()
