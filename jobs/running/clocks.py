"""The system clock, the time for which the process did not run, and deadlines, also for work that ignores them."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

_ROUNDING = 0.001
"""Seconds. uvloop's timers have milliseconds and may be that early; a wait for an instant would then sleep again."""


class SystemClock:
    """The system's time, and asyncio's sleep."""

    monotonic = staticmethod(time.monotonic)

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds + _ROUNDING)


MIN_BEAT_INTERVAL = 0.1
"""Seconds between two beats of the event loop."""
BEAT_SHARE = 0.05
"""Of the time for which the newest run lasts: a wait of a minute is measured less often than one of a second."""
USUAL_DELAY = 0.1
"""Seconds by which a beat may be late: a loop with many runs is that busy. What exceeds it is lost."""
MIN_DELAY = 0.005
"""Seconds by which a beat may be late without a delay of the loop: the resolution of timers, and a few callbacks."""


class LostTime:
    """The time for which this process did not run: stopped, on a machine that was paused or moved, or without CPU.

    Deadlines of attempts count only the time in which the process ran, and response times exclude the rest. While runs
    are under way, a timer of the event loop shows how late the loop is. In seconds; `read` returns monotonic ones.
    """

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self._lost = 0.0
        self._delay = 0.0
        self._watchers = 0
        self._newest_since = 0.0
        self._next_beat: float | None = None
        self._usual_until = math.inf
        """When the next beat is so late that time is lost."""
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        """Measure until the exit. Runs share one timer."""
        # perf: run-cost, 3 % of a run: a generator, and a call for each of these reads
        self._watchers += 1
        now = self._read()
        self._newest_since = min(now, self._usual_until) - self._lost
        if self._next_beat is None or self._next_beat - now > MIN_BEAT_INTERVAL:
            self._schedule(now)

    def __exit__(self, *error: object) -> None:
        self._watchers -= 1

    def total(self) -> float:
        """Return the seconds lost so far, also those of a stop that ended just now, before the next beat."""
        now = self._read()
        return self._lost if now <= self._usual_until else self._lost + now - self._usual_until

    def delay(self) -> float:
        """Return the seconds by which beats were late so far, short delays included, which are not lost."""
        return self._delay + self._lateness(self._read())

    def running_time(self) -> float:
        """Return monotonic seconds that stand still while the process does not run."""
        now = self._read()
        return (now if now <= self._usual_until else self._usual_until) - self._lost

    def _excess(self, now: float) -> float:
        return max(0.0, now - self._usual_until)

    def _lateness(self, now: float) -> float:
        return 0.0 if self._next_beat is None else max(0.0, now - self._next_beat - MIN_DELAY)

    def _beat(self) -> None:
        now = self._read()
        self._lost += self._excess(now)
        self._delay += self._lateness(now)
        self._next_beat, self._usual_until, self._timer = None, math.inf, None
        if self._watchers:
            self._schedule(now)

    def _schedule(self, now: float) -> None:
        if self._timer is not None:
            self._lost += self._excess(now)
            self._delay += self._lateness(now)
            self._timer.cancel()
        interval = max(MIN_BEAT_INTERVAL, BEAT_SHARE * (now - self._lost - self._newest_since))
        self._next_beat = now + interval
        self._usual_until = self._next_beat + USUAL_DELAY
        self._timer = asyncio.get_running_loop().call_later(interval, self._beat)


T = TypeVar("T")

MIN_TIME_AFTER_STOP = 1.0
"""Seconds that work has left at least after the process did not run."""
CANCEL_GRACE = 1.0
"""Seconds for cancelled work to release its resources; after that it is abandoned."""

_log = logging.getLogger("jobs.running")

# The loop has only weak references to tasks; abandoned ones are referenced here until they end.
_abandoned: set[asyncio.Task[Any]] = set()


class SelfCancelled(Exception):
    """The work ended as cancelled, although neither its deadline nor its caller cancelled it."""


def _none() -> float:
    return 0.0


async def run_with_deadline(
    work: Coroutine[Any, Any, T],
    seconds: float,
    on_timeout: Callable[[], T],
    *,
    grace: float = CANCEL_GRACE,
    lost_time: Callable[[], float] = _none,
) -> T:
    """Return the result of `work`, or `on_timeout()` if it is not done after `seconds`.

    `on_timeout` is called at the deadline, before the work is cancelled, and may raise. Takes at most `seconds` plus
    `grace`. When the caller is cancelled, the work is cancelled too, with the same grace. `lost_time`: returns seconds
    for which the process did not run so far; they extend the deadline.

    Raises:
        SelfCancelled: the work cancelled itself.
        Exception: any error of `work` or `on_timeout`.
    """
    # A separate task: `asyncio.timeout` alone would wait without limit for work that suppresses its cancellation.
    task = asyncio.get_running_loop().create_task(work)
    try:
        await _wait(task, seconds, lost_time)
    except asyncio.CancelledError:
        await _end(task, grace)
        raise
    if task.done():
        if task.cancelled():
            raise SelfCancelled(f"{_name(task)} was cancelled from within")
        return task.result()
    try:
        return on_timeout()
    finally:
        await _end(task, grace)


async def _wait(task: asyncio.Task[Any], seconds: float, lost_time: Callable[[], float]) -> None:
    """Wait until the task is done, at most for the seconds in which the process runs."""
    # As asyncio.wait, at half the cost: every attempt uses it.
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    began, lost = loop.time(), lost_time()
    timer = loop.call_later(seconds, _set, over)
    task.add_done_callback(lambda _: _set(over))
    try:
        await over
        while not task.done() and (more := lost_time() - lost) > 0:
            # At least as long as it takes to read what has arrived while the process did not run.
            lost += more
            seconds += more
            over = loop.create_future()
            timer = loop.call_later(max(began + seconds - loop.time(), MIN_TIME_AFTER_STOP), _set, over)
            await over
    finally:
        timer.cancel()


def _set(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


async def _end(task: asyncio.Task[Any], grace: float) -> None:
    """Cancel the task and wait for its end, at most for the grace."""
    task.cancel()
    try:
        await asyncio.wait((task,), timeout=grace)
    finally:
        if task.done():
            _forget(task)
        else:
            _abandoned.add(task)
            task.add_done_callback(_forget)
            _log.warning("could not cancel %s within %g s; it is abandoned", _name(task), grace)


def _forget(task: asyncio.Task[Any]) -> None:
    """Retrieve the result of an abandoned task, so that asyncio does not report it as unhandled."""
    _abandoned.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.debug("cancelled work ended with %s", type(error).__name__)


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())
