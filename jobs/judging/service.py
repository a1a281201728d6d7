"""Judge short tasks on the event loop, within a share of its time, and all others in the judging process.

    async with JudgingService() as judges:
        judged = await judges.perform("checkout", Judgement(observation, job.expect), redactor.redact)

The thread and the process start with the first judgement that needs them. The event loop adds judgements to the queue,
the thread removes them and passes them to the process, one at a time, the job with the least recent use first. The
queue is limited in number for each job, and in bytes for all jobs.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from jobs.expectations.budget import JUDGEMENT_SECONDS, BudgetExceeded, JudgementBudget, use_budget
from jobs.judging.child import RedactionRecorder, make_completer
from jobs.judging.port import QUEUE_TIMEOUT_SECONDS, JudgedResult, JudgingTask, JudgingUnavailable, ignore_part
from jobs.judging.process import (
    JudgingProcess,
    ProcessStartError,
    TaskDone,
    TaskExecutor,
    TaskFailed,
    TaskOutcome,
    TaskStopped,
)
from jobs.redaction import Redact

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


LOOP_TRY_SECONDS = 0.005
"""CPU seconds of one judgement on the event loop."""
SHORT_JUDGEMENT_SECONDS = 0.002
"""A job whose judgement took longer uses the process for LOOP_RETRY_SECONDS."""
LOOP_RETRY_SECONDS = 600.0
"""How long such a job uses the process."""
LOOP_TIME_SHARE = 0.1
"""Share of the event loop's time for all judgements on it."""
LOOP_BURST_SECONDS = 0.1
"""Seconds that can be used in one burst: the share of one second."""

_MAX_REMEMBERED_JOBS = 10_000


class EventLoopShare:
    """The time share of judgements on the event loop. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._remaining = LOOP_BURST_SECONDS
        self._at = clock()
        self._process_until: OrderedDict[str, float] = OrderedDict()
        """Until when the judgements of a job run in the process."""

    def can_judge(self, job: str) -> bool:
        """Whether a judgement of this job can run on the event loop now."""
        now = self._clock()
        until = self._process_until.get(job)
        if until is not None and now < until:
            return False
        self._remaining = min(self._remaining + (now - self._at) * LOOP_TIME_SHARE, LOOP_BURST_SECONDS)
        self._at = now
        return self._remaining > 0

    def record_on_loop(self, job: str, seconds: float) -> None:
        """Record the time of a judgement on the event loop."""
        self._remaining -= seconds
        if seconds > SHORT_JUDGEMENT_SECONDS:
            self._send_to_process(job)

    def record_in_process(self, job: str, seconds: float) -> None:
        """Record the time of a judgement in the process: a short one returns the job to the event loop."""
        if seconds > SHORT_JUDGEMENT_SECONDS:
            self._send_to_process(job)
        else:
            self._process_until.pop(job, None)

    def _send_to_process(self, job: str) -> None:
        self._process_until[job] = self._clock() + LOOP_RETRY_SECONDS
        self._process_until.move_to_end(job)
        if len(self._process_until) > _MAX_REMEMBERED_JOBS:
            self._process_until.popitem(last=False)


CLOSE_TIMEOUT_SECONDS = 2.0

R = TypeVar("R")


class JudgingFailed(Exception):
    """The judgement failed with an internal error; the message is its type."""


class JudgingService:
    """Judges on the event loop or in the judging process. For one event loop at a time."""

    def __init__(self, executor: TaskExecutor | None = None) -> None:
        """`executor`: performs long judgements; default: a JudgingProcess."""
        self._loop_share = EventLoopShare(time.monotonic)
        self._queue = FairQueue()
        self._process = executor or JudgingProcess()
        self._worker = JudgingThread(self._queue, self._process, clock=time.monotonic)

    async def __aenter__(self) -> JudgingService:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the thread and the process. Queued judgements are dropped."""
        self._queue.close()
        # Ends the current task with its process.
        self._process.close()
        await asyncio.to_thread(self._worker.join, CLOSE_TIMEOUT_SECONDS)

    async def perform(
        self,
        job: str,
        task: JudgingTask[R],
        redact: Redact,
        *,
        seconds: float = JUDGEMENT_SECONDS,
        queue_timeout: float = QUEUE_TIMEOUT_SECONDS,
    ) -> JudgedResult[R]:
        if self._loop_share.can_judge(job) and task.is_brief():
            started = time.thread_time()
            with suppress(BudgetExceeded), use_budget(JudgementBudget(min(LOOP_TRY_SECONDS, seconds), is_final=False)):
                result = task.perform(redact, ignore_part)
                took = time.thread_time() - started
                self._loop_share.record_on_loop(job, took)
                return JudgedResult(result, took)
            self._loop_share.record_on_loop(job, time.thread_time() - started)
        outcome = await self._outcome(job, task, seconds, queue_timeout)
        match outcome:
            case TaskDone(packed, nonce, texts, took):
                self._loop_share.record_in_process(job, took)
                return JudgedResult(task.unpack(packed, make_completer(nonce, texts, redact)), took)
            case TaskStopped(part, why, took):
                return JudgedResult(task.undecided(part, why), took)
            case TaskFailed(error):
                raise JudgingFailed(error)

    async def _outcome(self, job: str, task: JudgingTask[R], seconds: float, queue_timeout: float) -> TaskOutcome:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[TaskOutcome] = loop.create_future()

        def set_outcome(outcome: TaskOutcome) -> None:
            # The loop can be closed by now, without a waiting caller.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_set_result, future, outcome)

        queued = QueuedTask(
            job, task.size, lambda why: set_outcome(TaskStopped(0, why, 0.0)), task, seconds, set_outcome
        )
        self._queue.add(queued)
        self._worker.start()
        try:
            async with asyncio.timeout(queue_timeout):
                return await future
        except TimeoutError:
            raise JudgingUnavailable(
                f"The answer was not judged within {queue_timeout:.2g} s, "
                "because judgements of other jobs took too long: "
                "check jobs with large answers, many entries of expect or expensive patterns."
            ) from None
        finally:
            self._queue.remove(queued)


def _set_result(future: asyncio.Future[TaskOutcome], outcome: TaskOutcome) -> None:
    if not future.done():
        future.set_result(outcome)
