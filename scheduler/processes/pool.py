"""Starts the processes that make attempts, hands them orders, and restarts the ones that end.

    pool = ProcessPool(3, setup, secrets, tokens, redactor.redact, starts_on_load=False)
    runner = Runner(..., executor=pool)
    await pool.open()
    await pool.run()

With `starts_on_load` a process is started once the first one is busy, up to the limit. Without any process that is
ready, attempts are made in the first one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import pickle
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from jobs.checks.clock import SendPermission
from jobs.definition import JobDefinition
from jobs.ports import Secrets, Tokens
from jobs.redaction import Redact
from jobs.running.attempt_series import AttemptExecution, AttemptExecutor, RetrySupervisor
from scheduler.processes.messages import Setup
from scheduler.processes.process import AttemptProcess, RemoteAttempts, Sources

_log = logging.getLogger("scheduler.processes")

LOCAL_KINDS: Final = frozenset({"heartbeat", "azure_resource", "azure_query", "azure_metric", "azure_queue"})
"""Checks that read the store, and cost little; and those that share the limits of Azure."""
CHECK_INTERVAL = 1.0
"""Seconds between two checks of leases, signs of life and load."""
READY_TIMEOUT = 30.0
"""Seconds for a process to be ready; after that the program starts without it."""
MIN_RESTART_DELAY, MAX_RESTART_DELAY = 0.5, 30.0
"""Seconds until a process that ended is started again; the delay doubles while it ends early."""
EARLY_S = 30.0
"""Seconds of life below which an end is early."""
BUSY_SHARE, BUSY_CHECKS = 0.7, 10
"""Of a core, and looks in a row, after which another process is started."""
MAX_EXAMPLES = 100
"""Jobs whose checks are prepared before a process is ready."""
CPU_LIMIT_FILE = Path("/sys/fs/cgroup/cpu.max")


class ProcessPool:
    """Implements AttemptExecutor. Call `open`, then `run` as a background task, and `aclose` at the end."""

    def __init__(
        self,
        limit: int,
        setup: Setup,
        secrets: Secrets,
        tokens: Tokens,
        redact: Redact,
        *,
        starts_on_load: bool,
    ) -> None:
        """`limit`: processes at most, in addition to the first one. `secrets` and `tokens` answer their questions.
        `redact` removes the secrets of all jobs from what they report."""
        self.limit = limit
        self._sources = Sources(secrets, tokens, redact)
        self.local: AttemptExecutor
        """Makes the attempts in this process, see `use_local`."""
        self._starts_on_load = starts_on_load
        self._setup = setup
        self._processes: list[AttemptProcess] = []
        self._numbers = itertools.count(1)
        self._required = 0 if starts_on_load else limit
        self._busy_checks = 0
        self._keepers: set[asyncio.Task[None]] = set()
        self._exits: set[asyncio.Task[int]] = set()
        self._problems: dict[int, str] = {}

    @property
    def ready_count(self) -> int:
        """The number of processes that take orders, without the first one."""
        return sum(process.ready.is_set() for process in self._processes)

    @property
    def required_count(self) -> int:
        return self._required

    @property
    def problem(self) -> str:
        """Why a process could not be started, or has ended; "" if all are ready, or start for the first time."""
        return next(iter(self._problems.values()), "")

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
        """Return the attempts of a run: in another process, unless no other one runs, or the kind is local."""
        if not self._processes or job.check.kind in LOCAL_KINDS:
            return self.local.start(job, run_id, permission, supervisor)
        return RemoteAttempts((job, run_id, permission, supervisor), self.local, self.choose_process)

    def choose_process(self) -> AttemptProcess | None:
        """Return the process with the fewest orders; None: none is ready."""
        ready = [process for process in self._processes if process.ready.is_set()]
        return min(ready, key=lambda process: process.in_flight, default=None)

    async def open(self) -> None:
        """Start the required processes, and wait until they are ready."""
        started = [self._keep_process() for _ in range(self._required)]
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
            if self._starts_on_load and self._required < self.limit:
                is_busy = cpu - last_cpu > BUSY_SHARE * (at - last_at)
                self._busy_checks = self._busy_checks + 1 if is_busy else 0
                if self._busy_checks >= BUSY_CHECKS:
                    self._busy_checks = 0
                    self._required += 1
                    self._keep_process()

    async def aclose(self) -> None:
        """End all processes."""
        for keeper in self._keepers:
            keeper.cancel()
        if self._keepers:
            await asyncio.wait(self._keepers)
        if self._exits:
            await asyncio.wait(self._exits)

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
        while True:
            began = time.monotonic()
            try:
                problem = await self._run_process(AttemptProcess(number, self._sources), setup, started)
            except (OSError, ValueError) as error:
                problem = f"process {number} cannot be started: {error}"
            if time.monotonic() - began > EARLY_S:
                delay = MIN_RESTART_DELAY
            self._report(number, problem, started)
            _log.error("%s; its runs start anew, and another one in %g s", problem, delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, MAX_RESTART_DELAY)

    async def _run_process(self, process: AttemptProcess, setup: bytes, started: asyncio.Future[None]) -> str:
        """Return how the process has ended. It is killed if this is cancelled, or if it is not ready in time."""
        self._processes.append(process)
        try:
            await process.open(setup)
            await self._follow(process, started)
        finally:
            self._processes.remove(process)
            if not process.ended.is_set():
                process.kill()
            exit_task = asyncio.create_task(process.wait_exit())
            self._exits.add(exit_task)
            exit_task.add_done_callback(self._exits.discard)
            code = await asyncio.shield(exit_task)
        return f"process {process.number} (pid {process.pid}) ended {_describe_code(code)}"

    async def _follow(self, process: AttemptProcess, started: asyncio.Future[None]) -> None:
        """Wait until the process is ready, then until it has ended."""
        ready = asyncio.create_task(process.ready.wait())
        ended = asyncio.create_task(process.ended.wait())
        try:
            await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED, timeout=READY_TIMEOUT)
            if ready.done():
                self._report(process.number, "", started)
                _log.info("process %d (pid %d) makes attempts", process.number, process.pid)
                await ended
        finally:
            ready.cancel()
            ended.cancel()

    def _report(self, number: int, problem: str, started: asyncio.Future[None]) -> None:
        self._problems.pop(number, None)
        if problem:
            self._problems[number] = problem
        if not started.done():
            started.set_result(None)


def limit_of(setting: int | Literal["auto"]) -> int:
    """Return how many processes the program has at most, the first one included."""
    return count_cores() if setting == "auto" else setting


def count_cores(limit_file: Path = CPU_LIMIT_FILE) -> int:
    """Return the cores that this process may use, by its affinity and the limit of its control group."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = limit_file.read_text().split()
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
