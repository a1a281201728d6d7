"""The queue of judgements for the process: the job with the least recent use is first.

The event loop adds judgements, the thread of judging_thread.py removes them. Limited in number for each job, and in
bytes for all jobs.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_QUEUED_PER_JOB = 4
"""Queued judgements of one job."""
MOST_QUEUED_BYTES = 48 * 1024 * 1024
"""Bytes of all queued answers."""

_HALF_LIFE_SECONDS = 30.0
"""Half-life of the recorded use of a job."""
_NEGLIGIBLE_SECONDS = 0.001
"""CPU seconds below which the use of a job is dropped."""


@dataclass(eq=False, slots=True)
class QueuedJudgement:
    """A queued judgement. `on_dropped`: called with the reason, a clause, if it is dropped for another one."""

    job: str
    size: int
    on_dropped: Callable[[str], None] = field(repr=False)


class FairQueue:
    """A queue with one consumer thread. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: list[QueuedJudgement] = []
        self._used_seconds: dict[str, tuple[float, float]] = {}
        self._closed = False

    def add(self, judgement: QueuedJudgement) -> None:
        """Add a judgement. Drop it, or some of the job with the most bytes, if the queue is over its limits."""
        dropped: list[tuple[QueuedJudgement, str]] = []
        with self._changed:
            self._waiting.append(judgement)
            while (drop := self._judgement_to_drop(judgement)) is not None:
                self._waiting.remove(drop[0])
                dropped.append(drop)
            self._changed.notify()
        for each, why in dropped:
            each.on_dropped(why)

    def remove(self, judgement: QueuedJudgement) -> None:
        """Remove a judgement whose caller no longer waits."""
        with self._changed:
            if judgement in self._waiting:
                self._waiting.remove(judgement)

    def wait_next(self, timeout: float) -> QueuedJudgement | None:
        """Return the next judgement; None after so many seconds, or when the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout)
            if self._closed or not self._waiting:
                return None
            # With equal use, min() returns the first.
            judgement = min(self._waiting, key=lambda waiting: self._used_by(waiting.job))
            self._waiting.remove(judgement)
            return judgement

    def record_use(self, job: str, seconds: float) -> None:
        """Record the CPU seconds of a judgement of the job."""
        with self._changed:
            used = {name: self._used_by(name) for name in self._used_seconds}
            used[job] = used.get(job, 0.0) + seconds
            now = self._clock()
            self._used_seconds = {name: (amount, now) for name, amount in used.items() if amount > _NEGLIGIBLE_SECONDS}

    def close(self) -> None:
        """Wake the consumer, and drop all judgements."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        return self._closed

    def _used_by(self, job: str) -> float:
        amount, at = self._used_seconds.get(job, (0.0, 0.0))
        return amount * math.pow(0.5, (self._clock() - at) / _HALF_LIFE_SECONDS) if amount else 0.0

    def _judgement_to_drop(self, new: QueuedJudgement) -> tuple[QueuedJudgement, str] | None:
        """Return the judgement to drop and the reason; None: the queue is within its limits."""
        if sum(one.job == new.job for one in self._waiting) > MOST_QUEUED_PER_JOB:
            return new, f"{MOST_QUEUED_PER_JOB} earlier answers of the job are still queued"
        sizes: dict[str, int] = {}
        for one in self._waiting:
            sizes[one.job] = sizes.get(one.job, 0) + one.size
        if sum(sizes.values()) <= MOST_QUEUED_BYTES:
            return None
        largest = max(sizes, key=lambda job: (sizes[job], job == new.job))
        why = f"more than {MOST_QUEUED_BYTES // 1024**2} MiB of answers are queued, most of them of this job"
        return next(one for one in reversed(self._waiting) if one.job == largest), why
