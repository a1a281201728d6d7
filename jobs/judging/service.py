"""Judge short tasks on the event loop and all others in the judging process. Opened by scheduler.app.

    async with JudgingService() as judges:
        judged = await judges.perform("checkout", Judgement(observation, job.expect), redactor.redact)

The thread and the process start with the first judgement that needs them.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from types import TracebackType
from typing import TypeVar

from jobs.expectations.budget import JUDGEMENT_SECONDS, BudgetExceeded, JudgementBudget, use_budget
from jobs.judging.deferred_redaction import make_completer
from jobs.judging.event_loop_share import LOOP_TRY_SECONDS, EventLoopShare
from jobs.judging.fair_queue import FairQueue
from jobs.judging.judging_thread import JudgingThread, QueuedTask
from jobs.judging.port import QUEUE_TIMEOUT_SECONDS, JudgedResult, JudgingTask, JudgingUnavailable, ignore_part
from jobs.judging.process import JudgingProcess, TaskDone, TaskExecutor, TaskFailed, TaskOutcome, TaskStopped
from jobs.redaction import Redact

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
