"""The thread that passes the queued tasks to the process, one at a time. Started by service.py."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.expectations.budget import Budget, limited
from jobs.judging.deferred_redaction import Recorder
from jobs.judging.fair_queue import FairQueue, Waiting
from jobs.judging.port import Task, nothing_begins
from jobs.judging.process import CannotStart, Done, Failed, Outcome, Performer

IDLE_SECONDS = 300.0
"""Seconds without a task after which the process ends, as it uses 50 MiB."""
START_AGAIN_SECONDS = 60.0
"""Seconds until the next attempt to start the process."""

_log = logging.getLogger("jobs.judging")


@dataclass(eq=False, slots=True)
class Order(Waiting):
    """A queued task. `settle`: called with the outcome, from the thread."""

    task: Task[Any]
    seconds: float
    settle: Callable[[Outcome], None]


class Worker:
    """The thread starts with the first task, and ends when the queue is closed."""

    def __init__(
        self, queue: FairQueue, process: Performer, *, idle: float = IDLE_SECONDS, clock: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._process = process
        self._idle = idle
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._try_again_at = -1.0

    def start(self) -> None:
        """Start the thread unless it runs."""
        if self._thread is None:
            # A daemon thread, so that the program can end during a judgement.
            self._thread = threading.Thread(target=self._work, name="judging", daemon=True)
            self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _work(self) -> None:
        try:
            while not self._queue.is_closed:
                order = self._queue.take(self._idle)
                if isinstance(order, Order):
                    self._perform(order)
                elif not self._queue.is_closed:
                    self._process.stop()
        finally:
            self._process.stop()

    def _perform(self, order: Order) -> None:
        try:
            outcome = self._outcome(order.task, order.seconds)
        except Exception as error:
            _log.exception("could not judge an answer of %s", order.job)
            outcome = Failed(type(error).__name__)
        self._queue.charge(order.job, outcome.seconds)
        order.settle(outcome)

    def _outcome(self, task: Task[Any], seconds: float) -> Outcome:
        if self._clock() >= self._try_again_at:
            try:
                return self._process.perform(task, seconds)
            except CannotStart as error:
                self._try_again_at = self._clock() + START_AGAIN_SECONDS
                _log.warning(
                    "could not start the judging process: %s; long judgements run in a thread and delay other runs, "
                    "retrying in %g s",
                    error,
                    START_AGAIN_SECONDS,
                )
        return perform_here(task, seconds)


def perform_here(task: Task[Any], seconds: float) -> Outcome:
    """Perform a task in this thread, within its budget but without a hard limit."""
    recorder, began = Recorder(), time.thread_time()
    with limited(Budget(seconds)):
        packed = task.pack(task.perform(recorder, nothing_begins))
    return Done(packed, recorder.nonce, recorder.texts, time.thread_time() - began)
