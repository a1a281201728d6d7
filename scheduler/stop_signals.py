"""The signals that end the embedded host: the first one ends it in order, the second one at once.

Called by scheduler.embedded. The handlers are Python's own and not the event loop's, so that a second signal ends a
process whose loop is stuck, too. An end in order that does not come, because a thread hangs that Python waits for, is
ended by a thread of its own.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)
NAMED = 5
"""Runs that a sentence names."""
END_PATIENCE = 15.0
"""Seconds beyond the grace of runs, after which a process that did not end in order is ended."""


class StopSignals:
    """A context. From `listen` to its end, the first signal sets an event, the second one ends the process; so does a
    thread if the process goes on for too long after the first one, even after the end of the context."""

    def __init__(self, end: Callable[[int], object] = os._exit, patience: float = END_PATIENCE) -> None:
        """`end`: ends the process with an exit code, without any cleaning up. `patience`: seconds, see END_PATIENCE."""
        self._end = end
        self._patience = patience
        self._came = 0
        self._watched = threading.Event()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._watched.set()

    def listen(self, grace: float = 0.0) -> asyncio.Event:
        """Return the event. Must be called in the main thread, while its loop runs. `grace`: seconds that runs get."""
        stopping, loop = asyncio.Event(), asyncio.get_running_loop()
        # Made now: a handler may interrupt the threading module while it holds its locks.
        threading.Thread(target=self._watch, args=(grace + self._patience,), name="stop-watch", daemon=True).start()

        def handle(number: int, _: FrameType | None) -> None:
            if self._came:
                _say_that_it_ends()
                self._end(128 + number)
            self._came = number
            self._watched.set()
            loop.call_soon_threadsafe(stopping.set)

        for number in SIGNALS:
            self._before[number] = signal.signal(number, handle)
        return stopping

    def _watch(self, limit: float) -> None:
        self._watched.wait()
        if not self._came:
            return
        time.sleep(limit)
        text = f"not stopped within {limit:g} s, as something hangs: ended at once; the threads at this moment:\n"
        os.write(2, text.encode())
        faulthandler.dump_traceback(2)
        self._end(128 + self._came)


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
