"""A scheduler as it runs in a container of a rehearsal: the embedded host, with the fault of its image.

REHEARSED_FAULT: start, timer, queue, or crash:SECONDS. REHEARSED_IDLE: it is not in service, so its timer and its queue
are disabled, as the Functions host does it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from datetime import datetime
from typing import Any

from scheduler.hosts.embedded.ticker import Ticker
from scheduler.worker.batches import TicketBatches


async def _wait_without_end(*arguments: object, **options: object) -> None:
    await asyncio.Event().wait()


def _disable_timer() -> None:
    """The ticker plans nothing, and does not move its cursor."""
    initialize = Ticker.__init__

    def start_at_cursor(ticker: Any, *arguments: Any, after: datetime | None = None, **options: Any) -> None:
        initialize(ticker, *arguments, after=after, **options)
        ticker._last = after or ticker._last

    Ticker.__init__ = start_at_cursor  # type: ignore[method-assign]
    Ticker.run = _wait_without_end  # type: ignore[method-assign, assignment]


def _disable_queue() -> None:
    """Tickets are accepted and stay pending, as messages stay on a queue."""
    for name in ("run", "run_in_order", "run_claimed"):
        setattr(TicketBatches, name, _wait_without_end)


def main() -> None:
    """Serve."""
    fault, is_idle = os.environ.pop("REHEARSED_FAULT"), bool(os.environ.pop("REHEARSED_IDLE"))
    if fault == "start":
        sys.exit("this image does not start")
    if is_idle or fault == "timer":
        _disable_timer()
    if is_idle or fault == "queue":
        _disable_queue()
    kind, _, seconds = fault.partition(":")
    if kind == "crash" and not is_idle:
        timer = threading.Timer(float(seconds), os._exit, (9,))
        timer.daemon = True
        timer.start()
    from scheduler.__main__ import main as run_scheduler

    run_scheduler()


if __name__ == "__main__":
    main()
