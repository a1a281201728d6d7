"""The event loop of a simulation: its time jumps to the next timer, and nothing from outside of it ever wakes it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any, Protocol


class Mortal(Protocol):
    def must_live(self) -> None:
        """Raises Killed if it is dead."""
        ...


OWNER: ContextVar[Mortal | None] = ContextVar("OWNER", default=None)
"""The process whose code runs."""
NOBODY = Context()
"""For timers that outlive the process whose code sets them: `call_later(..., context=NOBODY)`."""


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
    """No threads, no sockets: what they report is never heard of. A dead process sets no timers."""

    def __init__(self) -> None:
        self._virtual = _Nothing()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is not None:
            owner.must_live()
        return super().call_at(when, callback, *args, context=context)
