"""Limits of time that hold on a busy machine: a second counts less while more threads want to compute than cores exist.

Used by tests/conftest.py for each test, and by tests/lanes.py for each lane. Needs Python's standard library alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

MULTIPLIER_VARIABLE = "SCHEDULER_TEST_TIMEOUT_MULTIPLIER"
"""The environment variable that multiplies all limits, for a machine that is slow even when it is idle."""


def multiplier() -> float:
    return float(os.environ.get(MULTIPLIER_VARIABLE) or 1)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slowness() -> float:
    """Return how many threads want to compute for each core, by the last minute's load; at least 1."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1.0, load / cores())


class Countdown:
    """Counts seconds of an idle machine down. Each call counts the time since the previous one."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        slowness: Callable[[], float] = slowness,
    ) -> None:
        self._left, self._clock, self._slowness = seconds, clock, slowness
        self._counted_until = clock()

    def left(self) -> float:
        """Return the seconds that are left; 0 or less: none."""
        now = self._clock()
        self._left -= (now - self._counted_until) / self._slowness()
        self._counted_until = now
        return self._left
