"""The queue of judgements for the process: the job with the least recent use is first.

The event loop adds judgements, the thread of worker.py removes them. Limited in number for each job, and in bytes for
all jobs.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_OF_A_JOB = 4
"""Queued judgements of one job."""
MOST_BYTES = 48 * 1024 * 1024
"""Bytes of all queued answers."""

_HALF_LIFE = 30.0
"""Half-life of the recorded use of a job."""
_FORGOTTEN = 0.001
"""CPU seconds below which the use of a job is dropped."""


@dataclass(eq=False, slots=True)
class Waiting:
    """A queued judgement. `refuse`: called with the reason, a clause, if it is dropped for another one."""

    job: str
    size: int
    refuse: Callable[[str], None] = field(repr=False)


class FairQueue:
    """A queue with one consumer thread. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: list[Waiting] = []
        self._used: dict[str, tuple[float, float]] = {}
        self._closed = False

    def add(self, waiting: Waiting) -> None:
        """Add a judgement. Drop it, or some of the job with the most bytes, if the queue is over its limits."""
        refused: list[tuple[Waiting, str]] = []
        with self._changed:
            self._waiting.append(waiting)
            while (one := self._too_many(waiting)) is not None:
                self._waiting.remove(one[0])
                refused.append(one)
            self._changed.notify()
        for dropped, why in refused:
            dropped.refuse(why)

    def discard(self, waiting: Waiting) -> None:
        """Remove a judgement whose caller no longer waits."""
        with self._changed:
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    def take(self, seconds: float) -> Waiting | None:
        """Return the next judgement; None after so many seconds, or when the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, seconds)
            if self._closed or not self._waiting:
                return None
            # With equal use, min() returns the first.
            one = min(self._waiting, key=lambda waiting: self._used_by(waiting.job))
            self._waiting.remove(one)
            return one

    def charge(self, job: str, seconds: float) -> None:
        """Record the CPU seconds of a judgement of the job."""
        with self._changed:
            used = {name: self._used_by(name) for name in self._used}
            used[job] = used.get(job, 0.0) + seconds
            now = self._clock()
            self._used = {name: (amount, now) for name, amount in used.items() if amount > _FORGOTTEN}

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
        amount, at = self._used.get(job, (0.0, 0.0))
        return amount * math.pow(0.5, (self._clock() - at) / _HALF_LIFE) if amount else 0.0

    def _too_many(self, new: Waiting) -> tuple[Waiting, str] | None:
        """Return the judgement to drop and the reason; None: the queue is within its limits."""
        if sum(one.job == new.job for one in self._waiting) > MOST_OF_A_JOB:
            return new, f"{MOST_OF_A_JOB} earlier answers of the job are still queued"
        sizes: dict[str, int] = {}
        for one in self._waiting:
            sizes[one.job] = sizes.get(one.job, 0) + one.size
        if sum(sizes.values()) <= MOST_BYTES:
            return None
        largest = max(sizes, key=lambda job: (sizes[job], job == new.job))
        why = f"more than {MOST_BYTES // 1024**2} MiB of answers are queued, most of them of this job"
        return next(one for one in reversed(self._waiting) if one.job == largest), why
