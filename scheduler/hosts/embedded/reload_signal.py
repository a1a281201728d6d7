"""SIGHUP lets the embedded host read the job files again, and never ends it. Called by scheduler.hosts.embedded.host.

`scheduler.__main__` ignores the signal from the first moment of `serve`. This module handles it once the program is
open, and ignores it again at the end.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from scheduler.catalog.reloading import JobReloader

_log = logging.getLogger("scheduler.hosts.embedded.reload_signal")


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
