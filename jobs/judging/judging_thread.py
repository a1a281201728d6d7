"""The thread that passes the queued tasks to the process, one at a time. Started by service.py."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.expectations.budget import JudgementBudget, use_budget
from jobs.judging.deferred_redaction import RedactionRecorder
from jobs.judging.fair_queue import FairQueue, QueuedJudgement
from jobs.judging.port import JudgingTask, ignore_part
from jobs.judging.process import ProcessStartError, TaskDone, TaskExecutor, TaskFailed, TaskOutcome

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
