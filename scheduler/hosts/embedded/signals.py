"""Signals of the embedded host: those that stop it, and SIGHUP, which lets it read the job files again.

The first signal stops it in order, the second one at once. The handlers are Python's and not the event loop's, so that
a second signal also ends a process whose loop is stuck. If an orderly stop takes too long, because Python waits for a
thread that hangs, a separate thread ends the process.

SIGHUP never ends the host: `scheduler.__main__` ignores the signal from the first moment of `serve`. It is handled here
once the program is open, and ignored again at the end.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from jobs.formats import format_count
from scheduler.catalog.reloading import JobReloader

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
MAX_NAMED_RUNS = 5
"""Runs that a message names."""
STOP_TIMEOUT = 15.0
"""Seconds after the grace of runs until a process that has not stopped is ended."""


class StopSignals:
    """A context manager. After `listen`, the first signal sets an event and the second one ends the process.

    A thread also ends the process if it runs for too long after the first signal, even after the context has ended.
    """

    def __init__(self, exit_process: Callable[[int], object] = os._exit, timeout: float = STOP_TIMEOUT) -> None:
        """`exit_process` ends the process without cleanup. `timeout`: seconds, see STOP_TIMEOUT."""
        self._exit_process = exit_process
        self._timeout = timeout
        self._received = 0
        self._wake_watch = threading.Event()
        self._previous_handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        self._wake_watch.set()

    def listen(self, grace: float = 0.0) -> asyncio.Event:
        """Return the event. Call it in the main thread while its loop runs. `grace`: seconds that runs get."""
        stopping, loop = asyncio.Event(), asyncio.get_running_loop()
        # Created now: a handler may interrupt the threading module while it holds its locks.
        threading.Thread(target=self._watch, args=(grace + self._timeout,), name="stop-watch", daemon=True).start()

        def handle(number: int, _: FrameType | None) -> None:
            if self._received:
                _write_error("second signal: ending at once; the next start takes over the runs in progress\n")
                self._exit_process(128 + number)
            self._received = number
            self._wake_watch.set()
            loop.call_soon_threadsafe(stopping.set)

        for number in STOP_SIGNALS:
            self._previous_handlers[number] = signal.signal(number, handle)
        return stopping

    def _watch(self, limit: float) -> None:
        self._wake_watch.wait()
        if not self._received:
            return
        used = time.process_time()
        time.sleep(limit)
        used = time.process_time() - used
        _write_error(
            f"not stopped within {limit:g} s ({used:.1f} s of CPU): {_explain_delay(used, limit)}; ending at once; the "
            "next start takes over what is not recorded; stacks of all threads:\n"
        )
        faulthandler.dump_traceback(2)
        self._exit_process(128 + self._received)


HANGING_SHARE = 0.05
"""Of one core. A process that uses less while it should stop waits for something; one with work left uses more, also on
a machine that is busy with other work."""


def _explain_delay(used: float, limit: float) -> str:
    """Return why a process does not stop that has used so many seconds of CPU within the limit."""
    if used < HANGING_SHARE * limit:
        return "a thread seems to hang"
    return "it is still at work, and needs more CPU or time to release what waits"


def _write_error(text: str) -> None:
    """Write past Python's buffers, because the interrupted code may be writing to them."""
    with suppress(OSError):  # the terminal is closed: the process must end nevertheless
        os.write(2, text.encode())


def describe_stop(runs: Sequence[str], grace: float, waiting: int = 0) -> str:
    """Describe an orderly stop. `runs`: ids of the runs in progress; `waiting`: number of those that have not started;
    `grace`: seconds.
    """
    released = f"; releasing {format_count(waiting, 'run')} not yet started for the next start" if waiting else ""
    if not runs:
        return f"stopping: no run is in progress{released}"
    named = ", ".join(runs[:MAX_NAMED_RUNS])
    if len(runs) > MAX_NAMED_RUNS:
        named += f" and {len(runs) - MAX_NAMED_RUNS} more"
    waits = f"waiting up to {grace:g} s for {format_count(len(runs), 'run')}"
    return f"stopping: {waits}, then cancelling: {named}{released}; a second signal ends the program at once"


_log = logging.getLogger("scheduler.hosts.embedded.signals")


async def reload_at_signals(reloader: JobReloader) -> None:
    """Read the job files at each SIGHUP, until cancelled. Windows does not have this signal."""
    if sys.platform == "win32":
        return
    requested, loop = asyncio.Event(), asyncio.get_running_loop()
    signal.signal(signal.SIGHUP, lambda *_: loop.call_soon_threadsafe(requested.set))
    try:
        while True:
            await requested.wait()
            requested.clear()
            _log.info("SIGHUP: reading the job files again")
            await reloader.reload(is_requested=True)
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
