"""How long a lease lasts, and when it is renewed; the same for claims of runs and for slots.

Used by scheduler.worker.claims and scheduler.gates.slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import lru_cache
from typing import Any

MIN_LEASE_S = 60.0
"""Seconds that a lease lasts at least."""
LEASE_MARGIN_S = 30.0
"""Seconds by which a lease outlives the deadline of its run: for recording it, and for clocks that differ."""
MIN_LEASE_LEFT_S = 10.0
"""Seconds of the margin that must be left when the run starts."""

MIN_LEASE_LEFT_TO_SEND_S = 5.0
"""Seconds of the margin that must be left when the run sends something: the clock of a process that takes the run over
at the end of the lease may be ahead. A run that is not late has the double."""


@lru_cache(256)
def lease_duration(run_seconds: float) -> timedelta:
    """Return how long the lease of a run lasts that takes at most `run_seconds`."""
    return timedelta(seconds=max(MIN_LEASE_S, run_seconds + LEASE_MARGIN_S))


@lru_cache(256)
def required_lease(run_seconds: float) -> timedelta:
    """Return how much of the lease must be left when the run starts."""
    return timedelta(seconds=run_seconds + MIN_LEASE_LEFT_S)


class RenewalTimer:
    """Runs `renew` every `interval` seconds as long as `is_needed`, never twice at the same time."""

    def __init__(
        self, interval: float, is_needed: Callable[[], bool], renew: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        self._interval = interval
        self._is_needed = is_needed
        self._renew = renew
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the timer, unless it runs already."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if not self._is_needed():
            return
        self.start()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._renew())
