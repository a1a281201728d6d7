"""Judges short tasks on the event loop and all others in the judging process. Opened by scheduler.app.

    async with JudgingService() as judges:
        judged = await judges.perform("checkout", Judgement(seen, job.expect), redactor.redact)

The thread and the process start with the first judgement that needs them.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from types import TracebackType
from typing import TypeVar

from jobs.expectations.budget import JUDGEMENT_SECONDS, Budget, OutOfTime, limited
from jobs.judging.at_once import TRY_SECONDS, AtOnce
from jobs.judging.deferred_redaction import completing
from jobs.judging.fair_queue import FairQueue
from jobs.judging.port import PATIENCE_SECONDS, Judged, NotJudged, Task, nothing_begins
from jobs.judging.process import Done, Failed, JudgingProcess, Outcome, Performer, Stopped
from jobs.judging.worker import Order, Worker
from jobs.redaction import Redact

CLOSE_SECONDS = 2.0

R = TypeVar("R")


class JudgingFailed(Exception):
    """The judgement failed with an internal error; the message is its type."""


class JudgingService:
    """See Judges. For one event loop at a time."""

    def __init__(self, process: Performer | None = None) -> None:
        """`process`: performs long judgements; default: a JudgingProcess."""
        self._at_once = AtOnce(time.monotonic)
        self._queue = FairQueue()
        self._process = process or JudgingProcess()
        self._worker = Worker(self._queue, self._process, clock=time.monotonic)

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
        await asyncio.to_thread(self._worker.join, CLOSE_SECONDS)

    async def perform(
        self,
        job: str,
        task: Task[R],
        redact: Redact,
        *,
        seconds: float = JUDGEMENT_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> Judged[R]:
        """See Judges.perform."""
        if self._at_once.allows(job) and task.is_brief():
            began = time.thread_time()
            with suppress(OutOfTime), limited(Budget(min(TRY_SECONDS, seconds), is_final=False)):
                result = task.perform(redact, nothing_begins)
                took = time.thread_time() - began
                self._at_once.took(job, took)
                return Judged(result, took)
            self._at_once.took(job, time.thread_time() - began)
        outcome = await self._outcome(job, task, seconds, patience)
        match outcome:
            case Done(packed, nonce, texts, took):
                self._at_once.took_elsewhere(job, took)
                return Judged(task.unpack(packed, completing(nonce, texts, redact)), took)
            case Stopped(place, why, took):
                return Judged(task.undecided(place, why), took)
            case Failed(error):
                raise JudgingFailed(error)

    async def _outcome(self, job: str, task: Task[R], seconds: float, patience: float) -> Outcome:
        loop = asyncio.get_running_loop()
        settled: asyncio.Future[Outcome] = loop.create_future()

        def settle(outcome: Outcome) -> None:
            # The loop can be closed by now, without a waiting caller.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_set, settled, outcome)

        order = Order(job, task.size, lambda why: settle(Stopped(0, why, 0.0)), task, seconds, settle)
        self._queue.add(order)
        self._worker.start()
        try:
            async with asyncio.timeout(patience):
                return await settled
        except TimeoutError:
            raise NotJudged(
                f"The answer was not judged within {patience:.2g} s, because judgements of other jobs took too long: "
                "check jobs with large answers, many entries of expect or expensive patterns."
            ) from None
        finally:
            self._queue.discard(order)


def _set(settled: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not settled.done():
        settled.set_result(outcome)
