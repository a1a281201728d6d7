"""The real clock. scheduler.app hands it to everything that wants a `jobs.ports.Clock`; tests hand over their own."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

_ROUNDING = 0.001
"""Seconds. uvloop's timers count milliseconds and may be that early; whoever waits for an instant would sleep again."""


class SystemClock:
    """The system's time, and the event loop's sleep."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds + _ROUNDING)
