"""The event loop of a simulation: its time jumps to the next timer, and nothing from outside of it ever wakes it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any, Protocol


class Mortal(Protocol):
    frozen: list[asyncio.Handle] | None
    """What is to be called when it goes on; None unless it is frozen."""

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
    """No sockets: what they report is never heard of. What a thread is to do is done at once. A dead process sets no
    timers, and a frozen one does nothing until it goes on: its timers are late."""

    def __init__(self) -> None:
        self._virtual = _Nothing()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is None:
            return super().call_at(when, callback, *args, context=context)
        owner.must_live()

        def on_time() -> None:
            if owner.frozen is None:
                callback(*args)
            else:
                owner.frozen.append(timer)

        timer = super().call_at(when, on_time, context=context)
        return timer

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is None or owner.frozen is None:
            return super().call_soon(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        owner.frozen.append(handle)
        return handle

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


def run_late(handle: asyncio.Handle) -> None:
    """Do what a frozen process was to do."""
    if not handle.cancelled():
        handle._run()
