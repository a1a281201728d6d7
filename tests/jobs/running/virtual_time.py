"""An event loop whose time jumps to the next timer instead of waiting for it, and a clock that follows it."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec
from weakref import WeakKeyDictionary

P = ParamSpec("P")

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Never blocks: where the real one would wait, the time is moved forward by as much."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen in this loop")
        ready = super().select(0)
        if not ready:
            # Rounded: after a sum of many waits a timer would be a little early, and its task would sleep again.
            self.now = round(self.now + max(timeout, 0), 9)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def skip(self, seconds: float) -> None:
        """As if the process stood still for so long."""
        self._virtual.now += seconds


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs an async test on a `VirtualTimeLoop`."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


_BEGINNINGS: WeakKeyDictionary[asyncio.AbstractEventLoop, float] = WeakKeyDictionary()


def restart_clock() -> None:
    """Let the time of the running loop begin at START again: for a test on a loop that others used before."""
    _BEGINNINGS.pop(asyncio.get_running_loop(), None)


class LoopClock:
    """A `jobs.ports.Clock` on the time of the running loop, which begins at START."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualTimeLoop):
            return loop.time()
        # The time of a real loop counts from the start of the machine.
        return loop.time() - _BEGINNINGS.setdefault(loop, loop.time())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
