"""A server whose runs are made by further processes: one of these and the server itself are killed in turn."""

from __future__ import annotations

import json
import os
import random
import signal
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from scheduler.stores.sqlite.connections import StoreAccess
from scheduler.stores.sqlite.store import open_sqlite
from tests.acceptance.test_killed import SEED, Target, miscounted, second, serving, some_moment
from tests.parts.accounts import Account, read_stored_runs
from tests.parts.proc import Program

KILLS = int(os.environ.get("KILLS", "10"))
"""Half of them of the server, half of a process that makes attempts."""
PROCESSES = 3
JOBS = tuple(f"job-{number:03}" for number in range(100))
ONCE = frozenset(JOBS[::4])
LETTERED = frozenset(JOBS[::3])


def kill_process(program: Program, luck: random.Random) -> None:
    """Kill a process that makes attempts, if one runs."""
    found = [
        each.pid
        for each in psutil.Process(program.pid).children()
        if "scheduler.processes.child" in "".join(each.cmdline())
    ]
    if found:
        with suppress(ProcessLookupError):
            os.kill(luck.choice(found), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_hundred_runs_a_second_survive_kills_of_the_server_and_of_its_processes(tmp_path: Path) -> None:
    luck = random.Random(SEED)
    async with Target(luck) as target:
        jobs = {
            job: {
                "schedule": {"every": "1s"},
                "check": {"url": f"{target.url}/{job}"},
                "timeout": {"attempt": "5s", "run": "5s"},
                "retry": {"attempts": 1},
                "catch_up": {"policy": "all"},
                "overlap": "allow",
                "dead_letter": job in LETTERED,
                "effect": "once" if job in ONCE else "repeatable",
            }
            for job in JOBS
        }
        (tmp_path / "jobs.json").write_text(json.dumps({"jobs": jobs}))
        store_file = tmp_path / "state.db"
        env = {
            "SCHEDULER_ENVIRONMENT": "test",
            "SCHEDULER_JOBS": str(tmp_path / "jobs.json"),
            "SCHEDULER_STORE": f"sqlite:///{store_file}",
            "SCHEDULER_PROCESSES": str(PROCESSES),
        }
        since, lost = None, 0
        for _ in range(KILLS // 2):
            async with serving(tmp_path, env) as program:
                await target.is_requested(10)
                since = since or second(datetime.now(UTC))
                kill_process(program, luck)
                await target.is_requested(len(JOBS) // 2)
                await some_moment(target, luck)
            lost += program.stdout.count("its runs start anew")
        async with serving(tmp_path, env):
            await target.is_requested(len(JOBS))
            assert since is not None
            account = Account(JOBS, since, second(datetime.now(UTC)), ONCE, LETTERED)
            store = await open_sqlite(store_file, StoreAccess.SHARED)
            await account.complete(store, within=200)
        found = await read_stored_runs(store, account.all_jobs)
        assert await miscounted(store, found) == []
        await store.aclose()

    print(account.summary(found, target.hits()), f"; {lost} processes lost")
    assert account.problems(found, target.hits()) == []
    assert lost > 0
