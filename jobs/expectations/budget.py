"""The computing time that one judgement has, all of its entries together. Used by judging.py and everything that an
entry may take long in: patterns.py, queries.py, expressions.py.

It is CPU time of the thread, so that a busy machine changes no verdict.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

JUDGEMENT_SECONDS = 1.0
"""Of a judgement that may take its time: outside of the event loop."""


class OutOfTime(Exception):
    """The time of the judgement is over. Not a TooMuchWork, which is the failure of one entry."""


class Budget:
    """Seconds from now on. `is_final`: what is not decided in them is not decided; otherwise somebody tries again."""

    __slots__ = ("_clock", "_end", "is_final", "seconds")

    def __init__(self, seconds: float, *, is_final: bool = True, clock: Callable[[], float] = time.thread_time) -> None:
        self.seconds = seconds
        self.is_final = is_final
        self._clock = clock
        self._end = clock() + seconds

    @property
    def left(self) -> float:
        """Seconds; not more than zero if they are over."""
        return self._end - self._clock()

    def check(self) -> None:
        """Raises OutOfTime."""
        if self.left <= 0:
            raise OutOfTime


_current: ContextVar[Budget | None] = ContextVar("budget", default=None)


def current() -> Budget | None:
    """The budget of the judgement that is going on."""
    return _current.get()


@contextmanager
def limited(budget: Budget) -> Iterator[Budget]:
    """Give what is done inside this budget."""
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)


class Allowance:
    """What one pattern, query or expression has: its own bound, or what is left of the judgement if that is less.

    Raises OutOfTime if nothing is left.
    """

    __slots__ = ("_budget", "_end", "seconds")

    def __init__(self, bound: float) -> None:
        budget = _current.get()
        left = bound if budget is None else budget.left
        if left <= 0:
            raise OutOfTime
        self._budget = budget if left < bound else None
        self.seconds = min(bound, left)
        self._end = time.thread_time() + self.seconds

    @property
    def left(self) -> float:
        """Seconds of computing."""
        return self._end - time.thread_time()

    def exceeded(self, reason: Exception) -> Exception:
        """The error of who has used it up: `reason`, unless it was the judgement's end."""
        return reason if self._budget is None else OutOfTime()
