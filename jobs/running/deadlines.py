"""Deadlines that nothing outlasts, not even work that ignores its cancellation. Called by execution.py, circuits.py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

CANCEL_GRACE = 1.0
"""Seconds that cancelled work gets to close what it holds; then it is left alone."""

_log = logging.getLogger("jobs.running")

# The loop holds tasks by weak reference only; what was abandoned is kept here until it ends.
_abandoned: set[asyncio.Task[Any]] = set()


class SelfCancelled(Exception):
    """The work ended as cancelled, although neither its deadline nor its owner wanted that."""


async def run_with_deadline(
    work: Coroutine[Any, Any, T], seconds: float, on_timeout: Callable[[], T], *, grace: float = CANCEL_GRACE
) -> T:
    """What `work` returns, or `late()` if it is not done after `seconds`.

    `late` is called at the deadline, before the work is cancelled, and may raise.

    Takes `seconds` and `grace` at the most. When the caller is cancelled the work is, too, with the same grace.

    Raises:
        CancelledFromWithin: the work cancelled itself.
        Exception: whatever `work` or `late` raises.
    """
    # A task of its own: `asyncio.timeout` alone would wait for ever for work that swallows the cancellation.
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    # What asyncio.wait does, at half of its cost: every attempt comes along here.
    over: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, _set, over)
    task.add_done_callback(lambda _: _set(over))
    try:
        await over
    except asyncio.CancelledError:
        await _end(task, grace)
        raise
    finally:
        timer.cancel()
    if task.done():
        if task.cancelled():
            raise SelfCancelled(f"{_name(task)} was cancelled from within")
        return task.result()
    try:
        return on_timeout()
    finally:
        await _end(task, grace)


def _set(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


async def _end(task: asyncio.Task[Any], grace: float) -> None:
    """Cancel the task and wait for its end, but not longer than the grace."""
    task.cancel()
    try:
        await asyncio.wait((task,), timeout=grace)
    finally:
        if task.done():
            _forget(task)
        else:
            _abandoned.add(task)
            task.add_done_callback(_forget)
            _log.warning("%s ignored its cancellation for %g s and was abandoned", _name(task), grace)


def _forget(task: asyncio.Task[Any]) -> None:
    """Take note of the end of a task that nobody waits for any more, so that asyncio does not complain about it."""
    _abandoned.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.debug("cancelled work ended with %s", type(error).__name__)


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())
