"""A pool with real processes, or with stand-ins that say what a test wants, and what surrounds it in the program."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest

from jobs.checks import Checks
from jobs.checks.binding.rules import UNRESTRICTED
from jobs.checks.body_memory import BodyMemory
from jobs.checks.clock import SendPermission
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.guard import Guard, TargetRules
from jobs.checks.net.tls_contexts import CaFiles
from jobs.definition import JobDefinition
from jobs.judging.service import JudgingService
from jobs.redaction import Redactor
from jobs.redaction.value_holders import CurrentSecrets
from jobs.running.attempt_series import LocalAttempts, SeriesResult
from jobs.running.clocks import LostTime, SystemClock
from jobs.running.starvation import StarvationMeter
from jobs.runs import Attempt, Phases
from scheduler.processes import pool as pool_module
from scheduler.processes import process as process_module
from scheduler.processes.messages import Setup
from scheduler.processes.pool import ProcessPool
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens, wait_until

NO_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def job(url: str, **more: Any) -> JobDefinition:
    """A job of one HTTP request and one attempt."""
    fields: dict[str, Any] = {
        "name": "checkout",
        "check": {"url": url, "allow_plain_http": True},
        "retry": {"attempts": 1},
        "timeout": {"attempt": "20s", "run": "30s"},
    }
    return JobDefinition.model_validate(fields | more)


class RegisteredSecrets(MemorySecrets):
    """Registers with the redactor what it returns, as the program's secrets do."""

    def __init__(self, values: Mapping[str, str], redactor: Redactor) -> None:
        super().__init__(dict(values))
        self._current = CurrentSecrets(redactor)

    async def get_secret(self, name: str) -> str:
        value = await super().get_secret(name)
        self._current.set(name, value)
        return value


@dataclass
class Supervisor:
    """Allows retries until `denial` is set, and remembers them."""

    denial: str = ""
    asked: int = 0
    retried: list[Attempt] = field(default_factory=list)

    async def request_retry(self) -> str:
        self.asked += 1
        return self.denial

    def publish_retry(self, attempt: Attempt) -> None:
        self.retried.append(attempt)


@dataclass
class PoolDesk:
    """A pool and what answers it. `local` makes the same attempts in this process."""

    pool: ProcessPool
    secrets: RegisteredSecrets
    tokens: MemoryTokens
    redactor: Redactor
    local: LocalAttempts

    async def run(
        self, job: JobDefinition, permission: SendPermission | None = None, supervisor: Supervisor | None = None
    ) -> SeriesResult:
        """Make the attempts of a run in another process."""
        assert self.pool.choose_process() is not None, self.pool.problem
        execution = self.pool.start(job, "checkout@1", permission or SendPermission(), supervisor or Supervisor())
        return await asyncio.wait_for(execution.run(), 60)

    async def ready(self, count: int = 1, *, excluded: int = 0) -> int:
        """Wait until so many processes are ready, other ones than that of the id `excluded`. Return the id of one."""
        await wait_until(lambda: self.pool.ready_count >= count and excluded not in self.pool.pids)
        return self.pool.pids[0]


@asynccontextmanager
async def open_pool(
    limit: int = 1,
    *,
    secrets: Mapping[str, str] | None = None,
    tokens: Mapping[str, str] | None = None,
    redacted: Sequence[str] = (),
    starts_on_load: bool = False,
) -> AsyncIterator[PoolDesk]:
    """Start the processes, and look after them until the end of the block."""
    guard, ca_files = Guard(TargetRules((ip_network("127.0.0.0/8"),))), CaFiles()
    clock, redactor = SystemClock(), Redactor()
    for value in redacted:
        redactor.add_permanent(value)
    known, known_tokens = RegisteredSecrets(secrets or {}, redactor), MemoryTokens(dict(tokens or {}))
    setup = Setup(guard, UNRESTRICTED, ca_files, "scheduler/1", False, True, 1 << 26, ())
    async with JudgingService() as judges:
        dependencies = CheckDependencies(
            known, known_tokens, redactor, guard, "scheduler/1", clock=clock, ca_files=ca_files, judges=judges
        )
        checks = Checks(dependencies)
        lost_time = LostTime(clock.monotonic)
        local = LocalAttempts(
            checks,
            clock,
            redactor,
            lambda: 0.5,
            BodyMemory(),
            judges,
            lost_time,
            StarvationMeter(lost_time, clock.monotonic),
        )
        pool = ProcessPool(limit, setup, known, known_tokens, redactor.redact, starts_on_load=starts_on_load)
        pool.use_local(local)
        await pool.open()
        looks = asyncio.create_task(pool.run())
        try:
            yield PoolDesk(pool, known, known_tokens, redactor, local)
        finally:
            looks.cancel()
            with suppress(asyncio.CancelledError):
                await looks
            await pool.aclose()
            await checks.aclose()


def without_times(result: SeriesResult) -> SeriesResult:
    """Return what two executions of the same job have in common."""
    attempts = tuple(
        replace(
            attempt,
            started_at=NO_TIME,
            starved=False,
            phases=Phases(total_ms=0.0),
            wait_ms=None if attempt.wait_ms is None else 0.0,
            details=None
            if attempt.details is None
            else replace(attempt.details, steps=tuple(replace(step, took_ms=0.0) for step in attempt.details.steps)),
        )
        for attempt in result.attempts
    )
    return replace(result, attempts=attempts, finished_at=NO_TIME, lost_s=0.0, lack_s=0.0)


_STAND_IN = """
import json, socket, struct, sys, time
connection = socket.socket(fileno=int(sys.argv[-1]))
def read():
    head = connection.recv(4, socket.MSG_WAITALL)
    if not head: raise SystemExit
    return connection.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL)
def say_bytes(data):
    connection.sendall(struct.pack(">I", len(data)) + data)
def say(*items):
    say_bytes(json.dumps(items).encode())
"""


def use_stand_in(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let processes execute this code instead, which has `read`, `say_bytes` and `say`, and restart without delay."""
    command = (sys.executable, "-I", "-S", "-c", f"{_STAND_IN}\n{code}")
    monkeypatch.setattr(process_module, "COMMAND", command)
    monkeypatch.setattr(pool_module, "MIN_RESTART_DELAY", 0.0)
