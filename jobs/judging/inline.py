"""Judge in the calling thread, within the budget but without a hard limit. For tests and short-lived programs."""

from __future__ import annotations

import time
from typing import TypeVar

from jobs.expectations.budget import JUDGEMENT_SECONDS, JudgementBudget, use_budget
from jobs.judging.port import QUEUE_TIMEOUT_SECONDS, JudgedResult, JudgingTask, ignore_part
from jobs.redaction import Redact

R = TypeVar("R")


class InlineJudge:
    """See Judge."""

    async def perform(
        self,
        job: str,
        task: JudgingTask[R],
        redact: Redact,
        *,
        seconds: float = JUDGEMENT_SECONDS,
        queue_timeout: float = QUEUE_TIMEOUT_SECONDS,
    ) -> JudgedResult[R]:
        """See Judge.perform; never waits."""
        started = time.thread_time()
        with use_budget(JudgementBudget(seconds)):
            result = task.perform(redact, ignore_part)
        return JudgedResult(result, time.thread_time() - started)
