"""Judge short tasks on the event loop, within a share of its time, and all others in the judging process.

    async with JudgingService() as judges:
        judged = await judges.perform("checkout", Judgement(observation, job.expect), redactor.redact)

The thread and the process start with the first judgement that needs them.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TypeVar

from jobs.expectations.budget import JUDGEMENT_SECONDS, BudgetExceeded, JudgementBudget, use_budget
from jobs.judging.child import make_completer
from jobs.judging.judging_thread import FairQueue, JudgingThread, QueuedTask
from jobs.judging.port import QUEUE_TIMEOUT_SECONDS, JudgedResult, JudgingTask, JudgingUnavailable, ignore_part
from jobs.judging.process import JudgingProcess, TaskDone, TaskExecutor, TaskFailed, TaskOutcome, TaskStopped
from jobs.redaction import Redact

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
    """See Judge. For one event loop at a time."""

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
