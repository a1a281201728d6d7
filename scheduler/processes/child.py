"""A process that makes attempts: executes the orders of the first process until that closes the connection.

Started by pool.py as `python -m scheduler.processes.child DESCRIPTOR`. It has no settings, no store and no identity: it
requests from the first process the secrets and tokens that its orders need, and logs through it. Signals are for the
first process, which lets runs finish or cancels them; without it nothing may be sent, so this process ends at once.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import itertools
import logging
import os
import pickle
import signal
import socket
import sys
import time
from contextlib import suppress
from functools import partial
from random import random
from typing import Any

from jobs.checks import Checks
from jobs.checks.body_memory import BodyMemory
from jobs.checks.clock import SendPermission
from jobs.checks.dependencies import CheckDependencies
from jobs.definition import JobDefinition
from jobs.errors import LeaseEnded, SecretUnavailable, TokenUnavailable
from jobs.judging.service import JudgingService
from jobs.ports import CredentialRefresh
from jobs.redaction import Redactor
from jobs.redaction.value_holders import CurrentSecrets
from jobs.running.attempt_series import AttemptSeries, LocalAttempts, SeriesResult
from jobs.running.clocks import LostTime, SystemClock
from jobs.running.starvation import CpuFiles, StarvationMeter
from jobs.runs import Attempt
from scheduler.processes.messages import (
    MAX_LOGGED_CHARACTERS,
    Answer,
    Cancellation,
    Channel,
    Definition,
    Order,
    Renewal,
    RetryAnswer,
    Setup,
    Word,
    encode_attempts,
    encode_result,
    encode_retried,
    remember,
)

ALIVE_INTERVAL = 1.0
"""Seconds between two signs of life."""
_YOUNG_THRESHOLD = 20_000
"""New objects that trigger a collection, as in the first process."""
_PR_SET_PDEATHSIG = 1
"""See prctl(2)."""


class Questions:
    """Requests credentials from the first process. Implements the ports Secrets (kind `secret`), Tokens (`token`)."""

    def __init__(self, kind: str, child: Child) -> None:
        self._kind = kind
        self._child = child
        self._current = CurrentSecrets(child.redactor)

    async def get_secret(self, name: str) -> str:
        """Return the current value, which is registered with the redactor. Raises SecretUnavailable."""
        return await self._get(name)

    async def get_token(self, scope: str) -> str:
        """Return an access token. Raises TokenUnavailable."""
        return await self._get(scope)

    async def refresh_rejected(self, name: str, rejected: str) -> CredentialRefresh:
        """Have the credential read again, unless that happened recently."""
        answer = await self._child.ask(self._kind, name, rejected)
        return CredentialRefresh(is_changed=bool(answer.refresh), message=answer.text)

    async def _get(self, name: str) -> str:
        answer = await self._child.ask(self._kind, name, None)
        if answer.error:
            if answer.error == "fault":
                raise RuntimeError(answer.text)
            raise (SecretUnavailable if self._kind == "secret" else TokenUnavailable)(answer.text)
        self._current.set(name, answer.text)
        return answer.text


class Execution:
    """One order. Implements RetrySupervisor with the help of the first process."""

    def __init__(self, child: Child, order: Order) -> None:
        self._child = child
        self._number = order.number
        self.until = order.until
        self.permission = SendPermission(self._may_send)
        self.answer: asyncio.Future[str] | None = None
        self.task: asyncio.Task[SeriesResult] | None = None

    def _may_send(self) -> bool:
        return self.until is None or time.time() <= self.until

    async def request_retry(self) -> str:
        self._child.say(Word.MAY_RETRY, self._number)
        self.answer = asyncio.get_running_loop().create_future()
        return await self.answer

    def publish_retry(self, attempt: Attempt) -> None:
        self._child.say(Word.RETRY, self._number, *encode_retried(attempt))


class Child:
    """Executes orders. `run` returns when the connection has ended."""

    def __init__(self) -> None:
        self.redactor = Redactor()
        self._channel = Channel(self._receive, self._end)
        self._ended = asyncio.Event()
        self._jobs: dict[str, JobDefinition] = {}
        self._executions: dict[int, Execution] = {}
        self._questions: dict[int, asyncio.Future[Answer]] = {}
        self._numbers = itertools.count(1)
        self._attempts: LocalAttempts | None = None
        self._checks: Checks | None = None

    async def run(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self._channel, sock=connection)
        while not self._ended.is_set():
            self.say(Word.ALIVE)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), ALIVE_INTERVAL)

    def say(self, word: Word, *items: Any) -> None:
        """Send a message to the first process."""
        self._channel.send_json(word.value, *items)

    async def ask(self, kind: str, name: str, rejected: str | None) -> Answer:
        """Return the first process's answer to a question for a credential."""
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        self.say(Word.ASK, number, kind, name, rejected)
        try:
            return await answer
        finally:
            del self._questions[number]

    def _end(self) -> None:
        self._ended.set()

    def _receive(self, frame: bytes) -> None:
        message = pickle.loads(frame)
        if isinstance(message, Order):
            self._start(message)
        elif isinstance(message, Definition):
            remember(self._jobs, message.job)
            assert self._checks is not None
            self._checks.prepare((message.job.check,))
        elif isinstance(message, Answer):
            if (question := self._questions.get(message.number)) is not None and not question.done():
                question.set_result(message)
        elif isinstance(message, Setup):
            self._set_up(message)
        elif (execution := self._executions.get(message.number)) is not None:
            self._change(execution, message)

    def _change(self, execution: Execution, message: Renewal | Cancellation | RetryAnswer) -> None:
        if isinstance(message, Renewal):
            execution.until = message.until
        elif isinstance(message, RetryAnswer):
            if execution.answer is not None and not execution.answer.done():
                execution.answer.set_result(message.denial)
        elif execution.task is not None:
            execution.task.cancel()

    def _set_up(self, setup: Setup) -> None:
        clock, judges = SystemClock(), JudgingService()
        self._checks = Checks(
            CheckDependencies(
                Questions("secret", self),
                Questions("token", self),
                self.redactor,
                guard=setup.guard,
                user_agent=setup.user_agent,
                traces=setup.traces,
                publishes_spans=setup.publishes_spans,
                bindings=setup.bindings,
                clock=clock,
                ca_files=setup.ca_files,
                judges=judges,
                outbound=setup.outbound,
            )
        )
        self._checks.prepare(job.check for job in setup.examples)
        bodies = BodyMemory(setup.body_memory)
        lost_time = LostTime(clock.monotonic)
        starvation = StarvationMeter(lost_time, clock.monotonic, CpuFiles())
        self._attempts = LocalAttempts(
            self._checks, clock, self.redactor, random, bodies, judges, lost_time, starvation
        )
        gc.collect()
        gc.freeze()
        gc.set_threshold(_YOUNG_THRESHOLD)
        self.say(Word.READY)

    def _start(self, order: Order) -> None:
        assert self._attempts is not None
        execution = self._executions[order.number] = Execution(self, order)
        job = self._jobs[order.job]  # now: the next message may change it
        series = self._attempts.start(job, order.run_id, execution.permission, execution)
        execution.task = asyncio.get_running_loop().create_task(series.run())
        execution.task.add_done_callback(partial(self._finish, order.number, execution, series))

    def _finish(
        self, number: int, execution: Execution, series: AttemptSeries, task: asyncio.Task[SeriesResult]
    ) -> None:
        del self._executions[number]
        has_sent = execution.permission.has_sent
        try:
            self.say(Word.DONE, number, encode_result(task.result()), has_sent)
        except (asyncio.CancelledError, LeaseEnded):
            self.say(Word.WITHOUT_RESULT, number, has_sent, encode_attempts(series.attempts))
        except Exception as error:  # the run must end in the first process, which logs what is wrong
            text = self.redactor.redact(f"{type(error).__name__}: {error}")
            self.say(Word.FAILED, number, text[:MAX_LOGGED_CHARACTERS])


class _LogForwarder(logging.Handler):
    """Sends records to the first process, which has the configuration of the log. Threads log too."""

    def __init__(self, child: Child, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.INFO)
        self._child = child
        self._loop = loop

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self._child.redactor.redact(record.getMessage())[:MAX_LOGGED_CHARACTERS]
            self._loop.call_soon_threadsafe(self._child.say, Word.LOG, record.levelno, record.name, text)
        except Exception:
            self.handleError(record)


async def _serve(connection: socket.socket) -> None:
    child = Child()
    root = logging.getLogger()
    root.addHandler(_LogForwarder(child, asyncio.get_running_loop()))
    root.setLevel(logging.INFO)
    await child.run(connection)
    os._exit(0)  # the first process has ended, or closed the connection: nothing may be sent any more


def _end_with_parent() -> None:
    """Have the kernel kill this process when the first one ends, even if it is stopped then. Linux has that."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Serve the socket whose descriptor is the first argument."""
    _end_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    factory = None
    with suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
