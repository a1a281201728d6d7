"""The system clock. scheduler.app passes it to every user of `jobs.ports.Clock`; tests pass their own."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

_ROUNDING = 0.001
"""Seconds. uvloop's timers have milliseconds and may be that early; a wait for an instant would then sleep again."""


class SystemClock:
    """The system's time, and asyncio's sleep."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds + _ROUNDING)
