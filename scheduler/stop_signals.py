"""The signals that end the embedded host: the first one ends it in order, the second one at once.

Called by scheduler.embedded. The handlers are Python's own and not the event loop's, so that a second signal ends a
process whose loop is stuck, too.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)
NAMED = 5
"""Runs that a sentence names."""


class StopSignals:
    """A context. From `listen` to its end, the first signal sets an event, the second one ends the process."""

    def __init__(self, end: Callable[[int], object] = os._exit) -> None:
        """`end`: ends the process with an exit code, without any cleaning up."""
        self._end = end
        self._came = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def listen(self) -> asyncio.Event:
        """Return the event. Must be called in the main thread, while its loop runs."""
        stopping, loop = asyncio.Event(), asyncio.get_running_loop()

        def handle(number: int, _: FrameType | None) -> None:
            if self._came:
                _say_that_it_ends()
                self._end(128 + number)
            self._came = True
            loop.call_soon_threadsafe(stopping.set)

        for number in SIGNALS:
            self._before[number] = signal.signal(number, handle)
        return stopping


def _say_that_it_ends() -> None:
    """Write past Python's buffers, which the interrupted code may be writing to at this moment."""
    text = "a second signal: ended at once; the next start takes over the runs that were in progress\n"
    os.write(2, text.encode())


def stopping_text(runs: Sequence[str], grace: float) -> str:
    """Say what an end in order waits for. `runs`: ids of those in progress; `grace`: seconds."""
    if not runs:
        return "stopping: no run is in progress"
    named = ", ".join(runs[:NAMED])
    if len(runs) > NAMED:
        named += f" and {len(runs) - NAMED} more"
    waits = f"waiting up to {grace:g} s for {len(runs)} {'run' if len(runs) == 1 else 'runs'}"
    return f"stopping: {waits}, then cancelling: {named}; a second signal ends the program at once"
