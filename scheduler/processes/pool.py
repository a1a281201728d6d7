"""Starts the processes that make attempts, hands them orders, and restarts the ones that end.

    pool = ProcessPool(3, setup, secrets, tokens, starts_on_load=False)
    runner = Runner(..., executor=pool)
    await pool.open()
    await pool.run()

With `starts_on_load` a process is started once the first one is busy, up to the limit. Without any process that is
ready, attempts are made in the first one.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

from jobs.checks.clock import SendPermission
from jobs.definition import JobDefinition
from jobs.errors import LeaseEnded, ProcessLost, SecretUnavailable, TokenUnavailable
from jobs.ports import Secrets, Tokens
from jobs.problems import make_printable
from jobs.running.attempt_series import AttemptExecution, AttemptExecutor, RetrySupervisor, SeriesResult
from jobs.running.clocks import CANCEL_GRACE
from jobs.runs import Attempt
from scheduler.processes.messages import (
    Answer,
    Cancellation,
    Channel,
    Definition,
    Order,
    Renewal,
    RetryAnswer,
    Setup,
    Word,
    decode_result,
    decode_retried,
)

_log = logging.getLogger("scheduler.processes")

LOCAL_KINDS: Final = frozenset({"heartbeat"})
"""Checks that read the store, and cost little."""
CHECK_INTERVAL = 1.0
"""Seconds between two looks at leases, signs of life and load."""
SILENT_CHECKS = 10
"""Looks without a sign of life after which a process is killed. Looks are counted, as a stopped machine makes none."""
READY_TIMEOUT = 30.0
"""Seconds for a process to be ready; after that the program starts without it."""
MIN_RESTART_DELAY, MAX_RESTART_DELAY = 0.5, 30.0
"""Seconds until a process that ended is started again; the delay doubles while it ends early."""
EARLY_S = 30.0
"""Seconds of life below which an end is early."""
BUSY_SHARE, BUSY_CHECKS = 0.7, 10
"""Of a core, and looks in a row, after which another process is started."""
LOGGED_CHARACTERS = 4000
MAX_EXAMPLES = 100
"""Jobs whose checks are prepared before a process is ready."""
_INHERITED_VARIABLES = (
    "PATH",
    "LD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "PYTHONDONTWRITEBYTECODE",
)
"""The only environment variables of a process that makes attempts: others contain secrets."""


class RemoteAttempts:
    """The attempts of one run in another process. Implements AttemptExecution."""

    def __init__(self, pool: ProcessPool, order: tuple[JobDefinition, str, SendPermission, RetrySupervisor]) -> None:
        self.job, self.run_id, self.permission, self.supervisor = order
        self._pool = pool
        self.attempts: list[Attempt] = []
        """Those that were repeated, then all."""
        self.until: float | None = None
        self.result: asyncio.Future[SeriesResult]

    async def run(self) -> SeriesResult:
        """Have the attempts made. Raises LeaseEnded, ProcessLost."""
        process = self._pool.choose_process()
        if process is None:
            local = self._pool.local.start(self.job, self.run_id, self.permission, self.supervisor)
            self.attempts = local.attempts
            return await local.run()
        self.result = asyncio.get_running_loop().create_future()
        number = process.order(self)
        try:
            result = await self.result
        except asyncio.CancelledError:
            await process.cancel(number, self)
            raise
        self.attempts = list(result.attempts)
        return result

    def find_until(self) -> float | None:
        """Return until when requests may be sent, in seconds since 1970; None: without limit."""
        ends_at = self.permission.ends_at
        if ends_at is None:
            return None
        until = ends_at()
        return 0.0 if until is None else until.timestamp()


class AttemptProcess:
    """One process that makes attempts, and its orders."""

    def __init__(self, pool: ProcessPool, number: int) -> None:
        """Start it. Raises OSError, ValueError: it cannot be started."""
        self.number = number
        self._pool = pool
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.started_at = time.monotonic()
        self._silent_checks = 0
        self._orders: dict[int, RemoteAttempts] = {}
        self._numbers = itertools.count(1)
        self._known: dict[str, JobDefinition] = {}
        self._channel = Channel(self._receive, self._end)
        self._questions: set[asyncio.Task[None]] = set()
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "scheduler.processes.child", str(theirs.fileno())],
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
            self._known[job.name] = job
            self._send(Definition(job))
        attempts.until = attempts.find_until()
        self._orders[number] = attempts
        self._send(Order(number, job.name, attempts.run_id, attempts.until))
        return number

    async def cancel(self, number: int, attempts: RemoteAttempts) -> None:
        """Cancel an order, and wait for its end for as long as a cancelled check may take."""
        attempts.result = asyncio.get_running_loop().create_future()
        if number not in self._orders:
            return
        self._send(Cancellation(number))
        await asyncio.wait({attempts.result}, timeout=2 * CANCEL_GRACE)
        if attempts.result.done() and not attempts.result.cancelled():
            attempts.result.exception()  # retrieved: the run is cancelled
        self._orders.pop(number, None)

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

    def close(self) -> None:
        """Let it end: it ends when the connection does."""
        self._channel.close()

    async def wait_exit(self) -> int:
        """Return the exit code, once the process has ended; kill it if it does not."""
        try:
            return await asyncio.to_thread(self._process.wait, 5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return await asyncio.to_thread(self._process.wait)

    def _send(self, message: object) -> None:
        self._channel.send(pickle.dumps(message, 5))

    def _end(self) -> None:
        orders, self._orders = self._orders, {}
        for attempts in orders.values():
            attempts.permission.has_sent = True  # as far as anybody knows
            if not attempts.result.done():
                attempts.result.set_exception(ProcessLost())
        for question in self._questions:
            question.cancel()
        self.ready.clear()
        self.ended.set()

    def _receive(self, frame: bytes) -> None:
        self._silent_checks = 0
        try:
            word, *items = json.loads(frame)
            self._handle(Word(word), items)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            _log.error("process %d sent a message that cannot be read (%s); it is killed", self.number, error)
            self.kill()

    def _handle(self, word: Word, items: list[Any]) -> None:
        if word is Word.DONE:
            self._finish(*items)
        elif word is Word.READY:
            self.ready.set()
        elif word is Word.LOG:
            level, logger, text = items
            own = logging.getLogger(logger) if str(logger).startswith("jobs.") else _log
            own.log(int(level), "%s", make_printable(str(text), LOGGED_CHARACTERS))
        elif word is Word.ASK:
            task = asyncio.get_running_loop().create_task(self._answer(*items))
            self._questions.add(task)
            task.add_done_callback(self._questions.discard)
        elif word is not Word.ALIVE:
            self._handle_order(word, *items)

    def _handle_order(self, word: Word, number: int, *items: Any) -> None:
        attempts = self._orders.get(number)
        if attempts is None:  # cancelled
            return
        if word is Word.RETRY:
            attempt = decode_retried(list(items))
            attempts.attempts.append(attempt)
            attempts.supervisor.publish_retry(attempt)
        elif word is Word.MAY_RETRY:
            task = asyncio.get_running_loop().create_task(self._answer_retry(number, attempts.supervisor))
            self._questions.add(task)
            task.add_done_callback(self._questions.discard)
        else:
            del self._orders[number]
            error = LeaseEnded() if word is Word.WITHOUT_RESULT else RuntimeError(make_printable(str(items[0]), 500))
            attempts.permission.has_sent = word is not Word.WITHOUT_RESULT or bool(items[0])
            if not attempts.result.done():
                attempts.result.set_exception(error)

    def _finish(self, number: int, body: dict[str, Any], has_sent: bool) -> None:
        attempts = self._orders.pop(number, None)
        if attempts is None or attempts.result.done():
            return
        attempts.permission.has_sent = has_sent
        attempts.result.set_result(decode_result(body))

    async def _answer_retry(self, number: int, supervisor: RetrySupervisor) -> None:
        self._send(RetryAnswer(number, await supervisor.request_retry()))

    async def _answer(self, number: int, kind: str, name: str, rejected: str | None) -> None:
        source: Any = self._pool.secrets if kind == "secret" else self._pool.tokens
        try:
            if rejected is not None:
                refresh = await source.refresh_rejected(name, rejected)
                answer = Answer(number, refresh.message, refresh=refresh.is_changed)
            else:
                get: Callable[[str], Coroutine[None, None, str]] = (
                    source.get_secret if kind == "secret" else source.get_token
                )
                answer = Answer(number, await get(name))
        except (SecretUnavailable, TokenUnavailable) as error:
            answer = Answer(number, str(error), error=kind)
        self._send(answer)


class ProcessPool:
    """Implements AttemptExecutor. Call `open`, then `run` as a background task, and `aclose` at the end."""

    def __init__(self, limit: int, setup: Setup, secrets: Secrets, tokens: Tokens, *, starts_on_load: bool) -> None:
        """`limit`: processes at most, besides the first one. `secrets` and `tokens` answer their questions."""
        self.limit = limit
        self.secrets, self.tokens = secrets, tokens
        self.local: AttemptExecutor
        """Makes the attempts in this process, see `use_local`."""
        self._starts_on_load = starts_on_load
        self._setup = setup
        self._processes: list[AttemptProcess] = []
        self._numbers = itertools.count(1)
        self._wanted = 0 if starts_on_load else limit
        self._busy_checks = 0
        self._keepers: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.problem = ""
        """Why a process could not be started, or ended early; "" after one is ready."""

    @property
    def ready_count(self) -> int:
        """The number of processes that take orders, besides the first one."""
        return sum(process.ready.is_set() for process in self._processes)

    @property
    def wanted_count(self) -> int:
        return self._wanted

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def use_local(self, local: AttemptExecutor) -> AttemptExecutor:
        """Return the pool, which makes attempts in this process where no other one can."""
        self.local = local
        return self

    def start(
        self, job: JobDefinition, run_id: str, permission: SendPermission, supervisor: RetrySupervisor
    ) -> AttemptExecution:
        """Return the attempts of a run: in another process, unless there is none, or the check reads the store."""
        if not self._processes or job.check.kind in LOCAL_KINDS:
            return self.local.start(job, run_id, permission, supervisor)
        return RemoteAttempts(self, (job, run_id, permission, supervisor))

    def choose_process(self) -> AttemptProcess | None:
        """Return the process with the fewest orders; None: none is ready."""
        ready = [process for process in self._processes if process.ready.is_set()]
        return min(ready, key=lambda process: process.in_flight, default=None)

    async def open(self) -> None:
        """Start the wanted processes, and wait until they are ready."""
        started = [self._keep_process() for _ in range(self._wanted)]
        if started:
            await asyncio.wait(started, timeout=READY_TIMEOUT)

    async def run(self) -> None:
        """Look after the processes, until it is cancelled."""
        cpu, at = time.process_time(), time.monotonic()
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            for process in self._processes:
                process.check()
            last_cpu, last_at, cpu, at = cpu, at, time.process_time(), time.monotonic()
            if self._starts_on_load and self._wanted < self.limit:
                is_busy = cpu - last_cpu > BUSY_SHARE * (at - last_at)
                self._busy_checks = self._busy_checks + 1 if is_busy else 0
                if self._busy_checks >= BUSY_CHECKS:
                    self._busy_checks = 0
                    self._wanted += 1
                    self._keep_process()

    async def aclose(self) -> None:
        """End all processes."""
        self._is_closed = True
        for process in self._processes:
            process.close()
        for keeper in self._keepers:
            keeper.cancel()
        if self._keepers:
            await asyncio.wait(self._keepers)

    def _keep_process(self) -> asyncio.Future[None]:
        """Start a process and keep it running. Return what is done once it is ready, or could not be started."""
        loop = asyncio.get_running_loop()
        started: asyncio.Future[None] = loop.create_future()
        task = loop.create_task(self._keep(next(self._numbers), started))
        self._keepers.add(task)
        task.add_done_callback(self._keepers.discard)
        return started

    async def _keep(self, number: int, started: asyncio.Future[None]) -> None:
        """Start a process, again and again after its end."""
        setup, delay = pickle.dumps(self._setup, 5), MIN_RESTART_DELAY
        while not self._is_closed:
            try:
                process = AttemptProcess(self, number)
            except (OSError, ValueError) as error:
                self._report(f"a process cannot be started: {error}", started)
                _log.error("could not start process %d: %s; retrying in %g s", number, error, delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, MAX_RESTART_DELAY)
                continue
            self._processes.append(process)
            try:
                await process.open(setup)
                await self._follow(process, started)
            finally:
                self._processes.remove(process)
                process.kill()
                code = await asyncio.shield(process.wait_exit())
            if self._is_closed:
                return
            lived_s = time.monotonic() - process.started_at
            delay = MIN_RESTART_DELAY if lived_s > EARLY_S else min(2 * delay, MAX_RESTART_DELAY)
            self._report(f"process {number} ended {_describe_code(code)}", started)
            _log.error("process %d (pid %d) ended %s; its runs start anew", number, process.pid, _describe_code(code))
            await asyncio.sleep(delay)

    def _report(self, problem: str, started: asyncio.Future[None]) -> None:
        self.problem = problem
        if not started.done():
            started.set_result(None)

    async def _follow(self, process: AttemptProcess, started: asyncio.Future[None]) -> None:
        """Wait until the process is ready, then until it has ended."""
        ready = asyncio.create_task(process.ready.wait())
        ended = asyncio.create_task(process.ended.wait())
        try:
            await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED, timeout=READY_TIMEOUT)
            if ready.done():
                self._report("", started)
                _log.info("process %d (pid %d) makes attempts", process.number, process.pid)
                await ended
        finally:
            ready.cancel()
            ended.cancel()


def limit_of(setting: int | Literal["auto"]) -> int:
    """Return how many processes the program has at most, the first one included."""
    return count_cores() if setting == "auto" else setting


def count_cores() -> int:
    """Return the cores that this process may use, by its affinity and the limit of its control group."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def find_examples(jobs: Iterable[JobDefinition]) -> tuple[JobDefinition, ...]:
    """Return a job of each kind and scheme, whose checks need different libraries."""
    examples: dict[tuple[str, str], JobDefinition] = {}
    for job in jobs:
        examples.setdefault((job.check.kind, job.check.endpoint.partition("://")[0]), job)
    return tuple(examples.values())[:MAX_EXAMPLES]


def _describe_code(code: int) -> str:
    if code >= 0:
        return f"with code {code}"
    with suppress(ValueError):
        return f"by {signal.Signals(-code).name}"
    return f"by signal {-code}"


def _environment() -> dict[str, str]:
    paths = [os.path.abspath(path) for path in sys.path]
    inherited = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
    return inherited | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
