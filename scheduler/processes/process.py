"""One process that makes attempts, and its orders, for the first process. Started by pool.py."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from jobs.checks.clock import SendPermission
from jobs.definition import JobDefinition
from jobs.errors import LeaseEnded, ProcessLost, SecretUnavailable, TokenUnavailable
from jobs.ports import Secrets, Tokens
from jobs.problems import make_printable
from jobs.redaction import Redact
from jobs.running.attempt_series import AttemptExecutor, RetrySupervisor, SeriesResult
from jobs.running.clocks import CANCEL_GRACE
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
    Word,
    decode_attempts,
    decode_result,
    decode_retried,
    remember,
)

_log = logging.getLogger("scheduler.processes")

COMMAND = (sys.executable, "-P", "-m", "scheduler.processes.child")
"""What a process executes, with the number of its socket."""
SILENT_CHECKS = 10
"""Looks without a sign of life after which a process is killed. Looks are counted, as a stopped machine makes none."""
EXIT_TIMEOUT = 1.0
"""Seconds for a process to end whose connection has ended."""
_INHERITED_VARIABLES = (
    "PATH",
    "LD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "PYTHONDONTWRITEBYTECODE",
)
"""The only environment variables of a process that makes attempts: others contain secrets."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What answers the questions of processes, and redacts what they say, with the secrets of all jobs."""

    secrets: Secrets
    tokens: Tokens
    redact: Redact


class RemoteAttempts:
    """The attempts of one run in another process. Implements AttemptExecution."""

    def __init__(
        self,
        order: tuple[JobDefinition, str, SendPermission, RetrySupervisor],
        local: AttemptExecutor,
        choose: Callable[[], AttemptProcess | None],
    ) -> None:
        """`choose` returns the process; without one `local` makes the attempts."""
        self.job, self.run_id, self.permission, self.supervisor = order
        self._local, self._choose = local, choose
        self.attempts: list[Attempt] = []
        """Those that were repeated, at the end all."""
        self.until: float | None = None
        self.result: asyncio.Future[SeriesResult]

    async def run(self) -> SeriesResult:
        """Have the attempts made. Raises LeaseEnded, ProcessLost."""
        process = self._choose()
        if process is None:
            local = self._local.start(self.job, self.run_id, self.permission, self.supervisor)
            self.attempts = local.attempts
            return await local.run()
        self.result = asyncio.get_running_loop().create_future()
        number = process.order(self)
        try:
            return await self.result
        except asyncio.CancelledError:
            await process.cancel(number, self)
            raise

    def find_until(self) -> float | None:
        """Return until when requests may be sent, in seconds since 1970; None: without limit."""
        ends_at = self.permission.ends_at
        if ends_at is None:
            return None
        until = ends_at()
        return 0.0 if until is None else until.timestamp()


class AttemptProcess:
    """One process that makes attempts, and its orders."""

    def __init__(self, number: int, sources: Sources) -> None:
        """Start it. Raises OSError, ValueError: it cannot be started."""
        self.number = number
        self._sources = sources
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self._silent_checks = 0
        self._orders: dict[int, RemoteAttempts] = {}
        self._numbers = itertools.count(1)
        self._known: dict[str, JobDefinition] = {}
        self._channel = Channel(self._receive, self._end)
        self._answers: set[asyncio.Task[None]] = set()
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [*COMMAND, str(theirs.fileno())],
                    env=_environment(),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # a traceback can contain a part of an answer, not redacted
                )
        except (OSError, ValueError):
            self._socket.close()
            raise

    async def open(self, setup: bytes) -> None:
        """Connect, and send the setup."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self._channel, sock=self._socket)
        self._channel.send(setup)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def in_flight(self) -> int:
        """The number of orders without a result."""
        return len(self._orders)

    def order(self, attempts: RemoteAttempts) -> int:
        """Send an order, and the definition of its job if the process does not know it. Return its number."""
        number, job = next(self._numbers), attempts.job
        if self._known.get(job.name) is not job:
            remember(self._known, job)
            self._send(Definition(job))
        attempts.until = attempts.find_until()
        self._orders[number] = attempts
        self._send(Order(number, job.name, attempts.run_id, attempts.until))
        return number

    async def cancel(self, number: int, attempts: RemoteAttempts) -> None:
        """Cancel an order, and wait for its end for as long as a cancelled check may take."""
        if number not in self._orders:
            return
        attempts.result = asyncio.get_running_loop().create_future()
        self._send(Cancellation(number))
        try:
            await asyncio.wait({attempts.result}, timeout=2 * CANCEL_GRACE)
        finally:
            self._orders.pop(number, None)
            if not attempts.result.cancel():
                attempts.result.exception()  # retrieved: the run is cancelled, whatever its result

    def check(self) -> None:
        """Send renewed leases; kill the process if it has given no sign of life for long."""
        self._silent_checks += 1
        if self._silent_checks > SILENT_CHECKS and self.ready.is_set():
            _log.error("process %d (pid %d) does not answer; it is killed and started again", self.number, self.pid)
            self.kill()
            return
        for number, attempts in self._orders.items():
            until = attempts.find_until()
            if until is not None and until != attempts.until:
                attempts.until = until
                self._send(Renewal(number, until))

    def kill(self) -> None:
        """Kill the process: its orders have no result."""
        self._process.kill()
        self._channel.close()

    async def wait_exit(self) -> int:
        """Return the exit code, once the process has ended; kill it if it does not, without a connection."""
        try:
            return await asyncio.to_thread(self._process.wait, EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return await asyncio.to_thread(self._process.wait)

    def _send(self, message: object) -> None:
        self._channel.send(pickle.dumps(message, 5))

    def _end(self) -> None:
        orders, self._orders = self._orders, {}
        for attempts in orders.values():
            attempts.permission.has_sent = True  # possibly
            if not attempts.result.done():
                attempts.result.set_exception(ProcessLost())
        for answer in self._answers:
            answer.cancel()
        self.ready.clear()
        self.ended.set()

    def _receive(self, frame: bytes) -> None:
        self._silent_checks = 0
        try:
            word, *items = json.loads(frame)
            self._handle(Word(word), items)
        except Exception as error:  # whatever it sends, it must not harm the first process
            name = type(error).__name__
            _log.error("process %d (pid %d) sent a message that cannot be read (%s)", self.number, self.pid, name)
            self.kill()

    def _handle(self, word: Word, items: list[Any]) -> None:
        if word is Word.READY:
            self.ready.set()
        elif word is Word.LOG:
            level, logger, text = items
            is_own = str(logger).startswith("jobs.") and logger in logging.root.manager.loggerDict
            log = logging.getLogger(logger) if is_own else _log
            log.log(int(level), "%s", make_printable(self._sources.redact(str(text)), MAX_LOGGED_CHARACTERS))
        elif word is Word.ASK:
            self._start_answer(self._answer(*items))
        elif word is not Word.ALIVE:
            number, *items = items
            if (attempts := self._orders.get(number)) is not None:  # otherwise it is cancelled
                self._handle_order(word, number, attempts, items)

    def _handle_order(self, word: Word, number: int, attempts: RemoteAttempts, items: list[Any]) -> None:
        redact = self._sources.redact
        if word is Word.RETRY:
            attempt = decode_retried(items, redact)
            attempts.attempts.append(attempt)
            attempts.supervisor.publish_retry(attempt)
            return
        if word is Word.MAY_RETRY:
            self._start_answer(self._answer_retry(number, attempts.supervisor))
            return
        result: SeriesResult | Exception
        if word is Word.DONE:
            body, attempts.permission.has_sent = items
            result = decode_result(body, redact)
            attempts.attempts = list(result.attempts)
        elif word is Word.WITHOUT_RESULT:
            attempts.permission.has_sent, so_far = items
            attempts.attempts = list(decode_attempts(so_far, redact))
            result = LeaseEnded()
        else:
            attempts.permission.has_sent = True
            result = RuntimeError(make_printable(redact(str(items[0])), 500))
        # Only now: if the message cannot be read, the process is killed, and the order has no result.
        del self._orders[number]
        if attempts.result.done():
            return
        if isinstance(result, Exception):
            attempts.result.set_exception(result)
        else:
            attempts.result.set_result(result)

    def _start_answer(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _answer_retry(self, number: int, supervisor: RetrySupervisor) -> None:
        self._send(RetryAnswer(number, await supervisor.request_retry()))

    async def _answer(self, number: int, kind: str, name: str, rejected: str | None) -> None:
        source: Any = self._sources.tokens if kind == "token" else self._sources.secrets
        try:
            if rejected is not None:
                refresh = await source.refresh_rejected(name, rejected)
                answer = Answer(number, refresh.message, refresh=refresh.is_changed)
            else:
                get: Callable[[str], Coroutine[None, None, str]] = (
                    source.get_token if kind == "token" else source.get_secret
                )
                answer = Answer(number, await get(name))
        except (SecretUnavailable, TokenUnavailable) as error:
            answer = Answer(number, str(error), error="unavailable")
        except Exception as error:  # the run must not wait for its deadline
            _log.error("could not read a %s for process %d: %s", kind, self.number, type(error).__name__)
            answer = Answer(number, f"the {kind} could not be read: {type(error).__name__}", error="fault")
        self._send(answer)


def _environment() -> dict[str, str]:
    paths = [os.path.abspath(path) for path in sys.path]
    inherited = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
    return inherited | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
