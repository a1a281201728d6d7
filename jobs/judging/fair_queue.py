"""The judgements that wait for the process: that of the job which has used least of it lately comes first.

Filled by the event loop, emptied by the thread of worker.py. Bounded a job in number, and all together in bytes.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_OF_A_JOB = 4
"""Judgements of one job that wait."""
MOST_BYTES = 48 * 1024 * 1024
"""Of all answers that wait."""

_HALF_LIFE = 30.0
"""Seconds after which half of what a job has used is forgotten."""
_FORGOTTEN = 0.001
"""Seconds of computing that are not worth remembering."""


@dataclass(eq=False, slots=True)
class Waiting:
    """A judgement that waits. `refuse` is called, with a clause that says why, if it is dropped for another one."""

    job: str
    size: int
    refuse: Callable[[str], None] = field(repr=False)


class FairQueue:
    """For one thread that takes. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: list[Waiting] = []
        self._used: dict[str, tuple[float, float]] = {}
        self._closed = False

    def add(self, waiting: Waiting) -> None:
        """Let it wait; or refuse it, or some of a job that takes up more room than its own."""
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
        """Nobody waits for it any more."""
        with self._changed:
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    def take(self, seconds: float) -> Waiting | None:
        """The next one; None: none came for so many seconds, or the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, seconds)
            if self._closed or not self._waiting:
                return None
            # The first of those that have used the same: min() keeps the order.
            one = min(self._waiting, key=lambda waiting: self._used_by(waiting.job))
            self._waiting.remove(one)
            return one

    def charge(self, job: str, seconds: float) -> None:
        """Note what a judgement of the job has used."""
        with self._changed:
            used = {name: self._used_by(name) for name in self._used}
            used[job] = used.get(job, 0.0) + seconds
            now = self._clock()
            self._used = {name: (amount, now) for name, amount in used.items() if amount > _FORGOTTEN}

    def close(self) -> None:
        """Let whoever takes go, and take nothing any more."""
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
        """Who has to go because of the new one, and why; None: there is room for all."""
        if sum(one.job == new.job for one in self._waiting) > MOST_OF_A_JOB:
            return new, f"{MOST_OF_A_JOB} earlier answers of the job still wait to be judged"
        sizes: dict[str, int] = {}
        for one in self._waiting:
            sizes[one.job] = sizes.get(one.job, 0) + one.size
        if sum(sizes.values()) <= MOST_BYTES:
            return None
        largest = max(sizes, key=lambda job: (sizes[job], job == new.job))
        why = f"more than {MOST_BYTES // 1024**2} MiB of answers wait to be judged, and this job has most of them"
        return next(one for one in reversed(self._waiting) if one.job == largest), why
