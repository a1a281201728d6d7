"""The thread that passes the queued tasks to the process, one at a time, the job with the least recent use first.

The event loop adds judgements to the queue, the thread removes them. The queue is limited in number for each job, and
in bytes for all jobs.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobs.expectations.budget import JudgementBudget, use_budget
from jobs.judging.child import RedactionRecorder
from jobs.judging.port import JudgingTask, ignore_part
from jobs.judging.process import ProcessStartError, TaskDone, TaskExecutor, TaskFailed, TaskOutcome

MAX_QUEUED_PER_JOB = 4
"""Queued judgements of one job."""
MAX_QUEUED_BYTES = 48 * 1024 * 1024
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
        if sum(one.job == new.job for one in self._waiting) > MAX_QUEUED_PER_JOB:
            return new, f"{MAX_QUEUED_PER_JOB} earlier answers of the job are still queued"
        sizes: dict[str, int] = {}
        for one in self._waiting:
            sizes[one.job] = sizes.get(one.job, 0) + one.size
        if sum(sizes.values()) <= MAX_QUEUED_BYTES:
            return None
        largest = max(sizes, key=lambda job: (sizes[job], job == new.job))
        why = f"more than {MAX_QUEUED_BYTES // 1024**2} MiB of answers are queued, most of them of this job"
        return next(one for one in reversed(self._waiting) if one.job == largest), why


IDLE_SECONDS = 300.0
"""Seconds without a task after which the process ends, as it uses 50 MiB."""
RESTART_SECONDS = 60.0
"""Seconds until the next attempt to start the process."""

_log = logging.getLogger("jobs.judging")


@dataclass(eq=False, slots=True)
class QueuedTask(QueuedJudgement):
    """A queued task. `on_outcome`: called with the outcome, from the thread."""

    task: JudgingTask[Any]
    seconds: float
    on_outcome: Callable[[TaskOutcome], None]


class JudgingThread:
    """The thread starts with the first task, and ends when the queue is closed."""

    def __init__(
        self, queue: FairQueue, process: TaskExecutor, *, idle_seconds: float = IDLE_SECONDS, clock: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._process = process
        self._idle = idle_seconds
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._retry_at = -1.0

    def start(self) -> None:
        """Start the thread unless it runs."""
        if self._thread is None:
            # A daemon thread, so that the program can end during a judgement.
            self._thread = threading.Thread(target=self._serve_queue, name="judging", daemon=True)
            self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _serve_queue(self) -> None:
        try:
            while not self._queue.is_closed:
                order = self._queue.wait_next(self._idle)
                if isinstance(order, QueuedTask):
                    self._serve_task(order)
                elif not self._queue.is_closed:
                    self._process.stop()
        finally:
            self._process.stop()

    def _serve_task(self, order: QueuedTask) -> None:
        try:
            outcome = self._judge(order.task, order.seconds)
        except Exception as error:
            _log.exception("could not judge an answer of %s", order.job)
            outcome = TaskFailed(type(error).__name__)
        self._queue.record_use(order.job, outcome.seconds)
        order.on_outcome(outcome)

    def _judge(self, task: JudgingTask[Any], seconds: float) -> TaskOutcome:
        if self._clock() >= self._retry_at:
            try:
                return self._process.perform(task, seconds)
            except ProcessStartError as error:
                self._retry_at = self._clock() + RESTART_SECONDS
                _log.warning(
                    "could not start the judging process: %s; long judgements run in a thread and delay other runs, "
                    "retrying in %g s",
                    error,
                    RESTART_SECONDS,
                )
        return perform_in_thread(task, seconds)


def perform_in_thread(task: JudgingTask[Any], seconds: float) -> TaskOutcome:
    """Perform a task in this thread, within its budget but without a hard limit."""
    recorder, started = RedactionRecorder(), time.thread_time()
    with use_budget(JudgementBudget(seconds)):
        packed = task.pack(task.perform(recorder, ignore_part))
    return TaskDone(packed, recorder.nonce, recorder.texts, time.thread_time() - started)
