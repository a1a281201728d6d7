"""The event loop of a simulation: its time jumps to the next timer, and nothing from outside of it ever wakes it."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class _Nothing(selectors.SelectSelector):
    """Asks the system for nothing, which would cost more than what the loop does in between."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen in this loop")
        if timeout > 0:
            self.now += timeout
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """No threads, no sockets: what they report is never heard of."""

    def __init__(self) -> None:
        self._virtual = _Nothing()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now
