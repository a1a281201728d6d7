"""The CPU time that all entries of one judgement share. Used by judging.py and the engines.

It is CPU time of the thread, so that the load of the machine does not change a verdict.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

JUDGEMENT_SECONDS = 1.0
"""The budget of a judgement outside of the event loop."""


class BudgetExceeded(Exception):
    """The budget of the judgement is used up. Not a LimitExceeded, which is the failure of one entry."""


class JudgementBudget:
    """CPU seconds from now on. `is_final`: undecided entries fail; otherwise the caller judges again elsewhere."""

    def __init__(self, seconds: float, *, is_final: bool = True, clock: Callable[[], float] = time.thread_time) -> None:
        self.seconds = seconds
        self.is_final = is_final
        self._clock = clock
        self._end = clock() + seconds

    @property
    def remaining(self) -> float:
        """Remaining seconds; zero or negative when used up."""
        return self._end - self._clock()

    def check(self) -> None:
        """Raises BudgetExceeded."""
        if self.remaining <= 0:
            raise BudgetExceeded


_current: ContextVar[JudgementBudget | None] = ContextVar("budget", default=None)


def current_budget() -> JudgementBudget | None:
    """Return the budget of the current judgement, if there is one."""
    return _current.get()


@contextmanager
def use_budget(budget: JudgementBudget) -> Iterator[JudgementBudget]:
    """Use this budget for judgements inside the context."""
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)


class ComputeAllowance:
    """The time of one pattern, query or expression: its own limit, or the rest of the budget if that is less.

    Raises BudgetExceeded if the budget is used up.
    """

    def __init__(self, max_seconds: float) -> None:
        budget = _current.get()
        left = max_seconds if budget is None else budget.remaining
        if left <= 0:
            raise BudgetExceeded
        self._budget = budget if left < max_seconds else None
        self.seconds = min(max_seconds, left)
        self._end = time.thread_time() + self.seconds

    @property
    def remaining(self) -> float:
        """Remaining CPU seconds."""
        return self._end - time.thread_time()

    def timeout_error(self, reason: Exception) -> Exception:
        """Return the error to raise: `reason`, or BudgetExceeded if the budget was the tighter limit."""
        return reason if self._budget is None else BudgetExceeded()
