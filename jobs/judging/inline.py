"""Judges in the calling thread, within the budget but without a hard limit. For tests and short-lived programs."""

from __future__ import annotations

import time
from typing import TypeVar

from jobs.expectations.budget import JUDGEMENT_SECONDS, Budget, limited
from jobs.judging.port import PATIENCE_SECONDS, Judged, Task, nothing_begins
from jobs.redaction import Redact

R = TypeVar("R")


class InlineJudges:
    """See Judges."""

    async def perform(
        self,
        job: str,
        task: Task[R],
        redact: Redact,
        *,
        seconds: float = JUDGEMENT_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> Judged[R]:
        """See Judges.perform; never waits."""
        began = time.thread_time()
        with limited(Budget(seconds)):
            result = task.perform(redact, nothing_begins)
        return Judged(result, time.thread_time() - began)
