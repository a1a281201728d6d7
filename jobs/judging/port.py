"""The protocols of judging: tasks, and the service that performs them. And a service without a process.

The latter judges in the calling thread, within the budget but without a hard limit: for tests and short programs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from jobs.expectations.budget import JUDGEMENT_SECONDS, JudgementBudget, use_budget
from jobs.redaction import Redact

R = TypeVar("R")
OnPartStarted = Callable[[int], None]
"""Called with the index of each part of a task before it starts."""

QUEUE_TIMEOUT_SECONDS = 10.0
"""Longest wait for the judgements of other jobs."""


class JudgingUnavailable(Exception):
    """There is no result, for a reason outside of the job and its target; the message is a sentence."""


class JudgingTask(Protocol[R]):
    """A judgement for another process: it can be pickled, and its result is packed as JSON."""

    @property
    def size(self) -> int:
        """Approximate bytes."""
        ...

    def is_brief(self) -> bool:
        """Whether each part surely takes at most a few milliseconds."""
        ...

    def perform(self, redact: Redact, on_part_started: OnPartStarted) -> R:
        """Judge within the current budget. Raises BudgetExceeded if the budget is not final."""
        ...

    def pack(self, result: R) -> Any:
        """Return the result as a JSON value."""
        ...

    def unpack(self, packed: Any, complete: Callable[[str], str]) -> R:
        """Return the result of a JSON value. `complete`: replaces the marks in a text (see child.py)."""
        ...

    def undecided(self, part: int, why: str) -> R:
        """Return the result of a task that was stopped in the part of this index."""
        ...


@dataclass(frozen=True, slots=True)
class JudgedResult(Generic[R]):
    """A result and its CPU seconds."""

    result: R
    seconds: float


class Judge(Protocol):
    async def perform(
        self,
        job: str,
        task: JudgingTask[R],
        redact: Redact,
        *,
        seconds: float = JUDGEMENT_SECONDS,
        queue_timeout: float = QUEUE_TIMEOUT_SECONDS,
    ) -> JudgedResult[R]:
        """Judge for a job within `seconds` of CPU time, after at most `queue_timeout`. Raises JudgingUnavailable."""
        ...


def ignore_part(part: int) -> None:
    """Ignore the start of a part."""


class InlineJudge:
    """Judges in the calling thread, for tests and commands without a judging process."""

    async def perform(
        self,
        job: str,
        task: JudgingTask[R],
        redact: Redact,
        *,
        seconds: float = JUDGEMENT_SECONDS,
        queue_timeout: float = QUEUE_TIMEOUT_SECONDS,
    ) -> JudgedResult[R]:
        """Judge at once, without a queue."""
        started = time.thread_time()
        with use_budget(JudgementBudget(seconds)):
            result = task.perform(redact, ignore_part)
        return JudgedResult(result, time.thread_time() - started)
