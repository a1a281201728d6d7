"""Runs the background tasks of the embedded host. Called by host."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

_log = logging.getLogger("scheduler.hosts.embedded.background")

TASK_RESTART_DELAY = 30.0
"""Seconds until a background task that failed is restarted."""


@asynccontextmanager
async def background_tasks(*coroutines: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run background tasks while the block runs. Log a task that fails; health reports it."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for task in tasks:
        task.add_done_callback(_log_task_failure)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def restart_on_failure(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run `work`, and restart it after a failure: health does not report that such a task has ended."""
    while True:
        try:
            await work()
        except Exception as error:
            _log.critical("a background task failed; restarting it in %g s", TASK_RESTART_DELAY, exc_info=error)
        await asyncio.sleep(TASK_RESTART_DELAY)


def _log_task_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("a background task failed and is not restarted", exc_info=error)
