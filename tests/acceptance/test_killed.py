"""Killed with SIGKILL at random moments, again and again, under load: no due instant is lost, and none is run twice."""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scheduler.stores.azure_tables import open_azure_tables
from scheduler.stores.sqlite import open_sqlite
from scheduler.stores.sqlite_connections import Access
from tests.parts.accounts import Account, kept
from tests.parts.azurite import Azurite
from tests.parts.functions_style import Kind, Platform, environment, spawn
from tests.parts.http_target import Answer, HttpTarget, Request
from tests.parts.proc import Program, free_port

KILLS = 50
RUNS = 1000
SEED = int(os.environ.get("KILLS_SEED", "1"))
"""For trying others; a test that needs luck is no test."""

JOBS = tuple(f"job-{number:02}" for number in range(25))


def definitions(url: str) -> dict[str, Any]:
    """Jobs that are due each second, of all kinds that there are."""
    return {
        job: {
            "schedule": {"every": "1s"},
            "check": {"url": f"{url}/{job}"},
            "timeout": {"attempt": "3s", "run": "3s"},
            "retry": {"attempts": 1},
            "catch_up": {"policy": "all"},
            "overlap": "skip" if number % 4 == 3 else "allow",
            "dead_letter": number % 3 == 0,
        }
        for number, job in enumerate(JOBS)
    }


class Target(HttpTarget):
    """Takes up to 0.4 s for an answer, so that a kill finds runs in work."""

    def __init__(self, luck: random.Random) -> None:
        super().__init__()
        self._luck = luck

    def answer(self, request: Request) -> Answer:
        return Answer(delay=self._luck.choice((0.0, 0.0, 0.05, 0.4)))

    def hits(self) -> Counter[str]:
        """How often it was asked, by run."""
        return Counter(request.headers["idempotency-key"] for request in self.requests)

    async def is_asked(self, times: int = 1, within: float = 60.0) -> None:
        """Until it was asked so often from now on."""
        await self.wait_for_requests(len(self.requests) + times, timeout=within)


def second(now: datetime) -> datetime:
    """The whole second at or after this instant."""
    return datetime.fromtimestamp(math.ceil(now.timestamp()), UTC)


@asynccontextmanager
async def serving(folder: Path, env: Mapping[str, str]) -> AsyncIterator[Program]:
    """A server that is killed at the end of the block."""
    async with Program("serve", "--port", str(free_port()), env=env, cwd=folder) as program:
        yield program
        assert program.running, program.stdout + program.stderr
    assert not program.stderr


async def some_moment(target: Target, luck: random.Random) -> None:
    """Mostly while runs go on, whatever the machine takes to start a process; sometimes while it starts."""
    if luck.random() < 0.8:
        await target.is_asked(luck.choice((1, 2, 10, 20)))
    await asyncio.sleep(luck.uniform(0, 0.8))


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_server_that_is_killed_fifty_times_accounts_for_every_due_instant_once(tmp_path: Path) -> None:
    luck = random.Random(SEED)
    async with Target(luck) as target:
        (tmp_path / "jobs.json").write_text(json.dumps({"jobs": definitions(target.url)}))
        store_file = tmp_path / "state.db"
        env = {
            "SCHEDULER_ENVIRONMENT": "test",
            "SCHEDULER_JOBS": str(tmp_path / "jobs.json"),
            "SCHEDULER_STORE": f"sqlite:///{store_file}",
        }
        async with serving(tmp_path, env):
            await target.is_asked()
            since = second(datetime.now(UTC))
            await asyncio.sleep(luck.uniform(0, 1))
        for _ in range(KILLS - 1):
            async with serving(tmp_path, env):
                await some_moment(target, luck)
        async with serving(tmp_path, env):
            await target.is_asked(len(JOBS))
            account = Account(JOBS, since, second(datetime.now(UTC)))
            store = await open_sqlite(store_file, Access.SHARED)
            await account.complete(store, within=60)
        found = await kept(store, JOBS)
        await store.aclose()

    print(account.summary(found, target.hits()))
    assert account.problems(found, target.hits()) == []
    assert len(found.of_all) >= RUNS


PLATFORM = Platform(
    hidden=3,
    most_deliveries=2,
    hidden_after_failure=1,
    longest_pause=0.2,
    tick=2,
    shortened={
        "scheduler.dispatch.batches.SLICE": 1,
        "scheduler.dispatch.batches.LEAD": 1,
        "scheduler.worker.LEASE_MARGIN": 1,
        "scheduler.queue_work.BURIAL_LEASE": 2,
        "scheduler.tick_work.HORIZON": 6,
    },
)
PROCESSES: tuple[Kind, ...] = ("worker", "worker", "worker", "ticker")


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_functions_processes_that_are_killed_fifty_times_account_for_every_due_instant_once(
    azurite: Azurite, storage_prefix: str, tmp_path: Path
) -> None:
    luck = random.Random(SEED)
    async with Target(luck) as target:
        (tmp_path / "jobs.json").write_text(json.dumps({"jobs": definitions(target.url)}))
        environ = environment(azurite.connection_string, storage_prefix, tmp_path / "jobs.json")
        async with _processes(environ, tmp_path / "said.txt") as processes:
            await target.is_asked()
            since = second(datetime.now(UTC))
            for _ in range(KILLS):
                # Two of three kills while runs are asked for, whatever the machine takes to start a process.
                if luck.random() < 0.7:
                    await target.is_asked(luck.choice((1, 5, 20)))
                await asyncio.sleep(luck.uniform(0, 1.2))
                processes.kill(luck.randrange(len(PROCESSES)))
            await target.is_asked(len(JOBS))
            account = Account(JOBS, since, second(datetime.now(UTC)))
            store = await open_azure_tables(connection_string=azurite.connection_string, prefix=storage_prefix)
            await account.complete(store, within=120)
        found = await kept(store, JOBS)
        await store.aclose()

    print(account.summary(found, target.hits()))
    assert account.problems(found, target.hits()) == []
    assert len(found.of_all) >= RUNS


class _Processes:
    def __init__(self, environ: Mapping[str, str], said: Any) -> None:
        self._environ = environ
        self._said = said
        self._processes = [self._start(kind) for kind in PROCESSES]

    def kill(self, number: int) -> None:
        """And start another one at once."""
        self._end(self._processes[number])
        self._processes[number] = self._start(PROCESSES[number])

    def end(self) -> None:
        for process in self._processes:
            self._end(process)

    def _start(self, kind: Kind) -> subprocess.Popen[bytes]:
        return spawn(kind, self._environ, PLATFORM, self._said)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        assert process.poll() is None, f"a process ended by itself, see {self._said.name}"
        process.kill()
        process.wait()


@asynccontextmanager
async def _processes(environ: Mapping[str, str], said: Path) -> AsyncIterator[_Processes]:
    with said.open("wb") as output:
        processes = _Processes(environ, output)
        try:
            yield processes
        finally:
            processes.end()
