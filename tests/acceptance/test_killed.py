"""Killed with SIGKILL at random moments, again and again, under load: no due instant is lost, and none is run twice."""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.runs import Outcome
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.port import Store
from scheduler.stores.runs.repository import Runs
from scheduler.stores.schedules import PLANNED_UNTIL_CURSOR, Cursors
from scheduler.stores.sqlite.connections import StoreAccess
from scheduler.stores.sqlite.store import open_sqlite
from tests.parts.accounts import Account, StoredRuns, read_stored_runs
from tests.parts.azurite import Azurite
from tests.parts.functions_herd import Herd
from tests.parts.functions_style import Kind, Platform, environment
from tests.parts.http_target import Answer, HttpTarget, Request
from tests.parts.proc import Program, free_port
from tests.scheduler.stores.samples import merge_parts

KILLS = 50
RUNS = 1000
SEED = int(os.environ.get("KILLS_SEED", "1"))
"""For trying others; a test that needs luck is no test."""

JOBS = tuple(f"job-{number:02}" for number in range(15))
ONCE = frozenset(JOBS[::4])
LETTERED = frozenset(JOBS[::3])
ROOT = JOBS[1]
FOLLOWERS = dict.fromkeys(("left", "right", "join"), ROOT)


def definitions(url: str) -> dict[str, Any]:
    """Jobs that are due each second, of all kinds that there are; three more follow from one of them."""
    depends_on = {"left": [ROOT], "right": [ROOT], "join": ["left", "right"]}
    following = {
        job: {
            "check": {"url": f"{url}/{job}"},
            "timeout": {"attempt": "3s", "run": "3s"},
            "retry": {"attempts": 1},
            "overlap": "allow",
            "depends_on": [{"job": other, "condition": "finished"} for other in others],
        }
        for job, others in depends_on.items()
    }
    return following | {
        job: {
            "schedule": {"every": "1s"},
            "check": {"url": f"{url}/{job}"},
            "timeout": {"attempt": "3s", "run": "3s"},
            "retry": {"attempts": 1},
            "catch_up": {"policy": "all"},
            "overlap": "skip" if number % 4 == 3 else "allow",
            "dead_letter": job in LETTERED,
            "effect": "once" if job in ONCE else "repeatable",
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

    async def is_requested(self, times: int = 1, within: float = 60.0) -> None:
        """Until it was asked so often from now on."""
        await self.wait_for_requests(len(self.requests) + times, timeout=within)


def second(now: datetime) -> datetime:
    """The whole second at or after this instant."""
    return datetime.fromtimestamp(math.ceil(now.timestamp()), UTC)


async def miscounted(store: Store, found: StoredRuns) -> list[str]:
    """Jobs whose rollups differ from a count of their finished runs."""
    wrong, now, days = [], second(datetime.now(UTC)).replace(minute=0, second=0), timedelta(days=2)
    for job, records in found.of_jobs.items():
        ended = Counter(record.run.outcome for record in records if record.run is not None)
        counted = merge_parts(await Runs(store).list_rollups(job, now - days, now + days)).tally.outcomes
        if counted != [ended[outcome] for outcome in Outcome]:
            wrong.append(f"{job}: {counted} is counted of {ended}")
    return wrong


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
        await target.is_requested(luck.choice((1, 2, 10, 20)))
    await asyncio.sleep(luck.uniform(0, 0.8))


@pytest.mark.slow
@pytest.mark.timeout(900)
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
            await target.is_requested()
            since = second(datetime.now(UTC))
            await asyncio.sleep(luck.uniform(0, 1))
        kills = 1
        while kills < KILLS or len(target.requests) < RUNS:
            kills += 1
            async with serving(tmp_path, env):
                await some_moment(target, luck)
        async with serving(tmp_path, env):
            await target.is_requested(len(JOBS))
            account = Account(JOBS, since, second(datetime.now(UTC)), ONCE, LETTERED, FOLLOWERS)
            store = await open_sqlite(store_file, StoreAccess.SHARED)
            await account.complete(store, within=200)
        found = await read_stored_runs(store, account.all_jobs)
        assert await miscounted(store, found) == []
        await store.aclose()

    print(account.summary(found, target.hits()))
    assert account.problems(found, target.hits()) == []


PLATFORM = Platform(
    hidden=8,
    hidden_poison=30,
    most_deliveries=3,
    hidden_after_failure=1,
    longest_pause=0.2,
    tick=2,
    shortened={
        "scheduler.dispatch.batches.BATCH_SLICE": 1,
        "scheduler.dispatch.batches.VISIBLE_BEFORE": 1,
        "scheduler.leasing.MIN_LEASE_S": 5,
        "scheduler.leasing.LEASE_MARGIN_S": 2,
        "scheduler.leasing.MIN_LEASE_LEFT_S": 0.5,
        "scheduler.worker.claims.MIN_LEFT_TO_SEND": 0.5,
        "scheduler.worker.claims.RENEWAL_INTERVAL": 0.5,
        "scheduler.worker.claims.RENEWAL_THRESHOLD": 3,
        "scheduler.hosts.functions.queue.DEAD_LETTER_LEASE": 2,
        "scheduler.hosts.functions.queue.LEASE_RESEND_DELAY": 1,
        "scheduler.hosts.functions.queue.RESEND_SLICE": 1,
        "scheduler.hosts.functions.timer.PLANNING_HORIZON": 6,
    },
)
FROZEN = 12.0
"""Seconds: the lease of a claim (timeout.run and its margin), and a little more than a message is hidden."""
MAX_PLANNING = timedelta(seconds=60)
"""A machine that is too slow for what is due would get further behind with each kill. The kills go on after it."""
PROCESSES: tuple[Kind, ...] = ("worker", "worker", "worker", "ticker")


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_functions_processes_that_are_killed_fifty_times_account_for_every_due_instant_once(
    azurite: Azurite, storage_prefix: str, tmp_path: Path
) -> None:
    luck = random.Random(SEED)
    async with Target(luck) as target:
        (tmp_path / "jobs.json").write_text(json.dumps({"jobs": definitions(target.url)}))
        environ = environment(azurite.connection_string, storage_prefix, tmp_path / "jobs.json")
        store = await open_azure_tables(connection_string=azurite.connection_string, prefix=storage_prefix)
        async with _processes(environ, tmp_path / "said.txt") as processes:
            await target.is_requested()
            since = second(datetime.now(UTC))
            kills, until = 0, None
            while kills < KILLS or (until is None and len(target.requests) < RUNS):
                kills += 1
                if until is None:
                    await some_moment(target, luck)
                else:
                    await asyncio.sleep(luck.uniform(0, 0.8))
                await processes.kill(luck.choice(processes.numbers()))
                if luck.random() < 0.1:
                    processes.freeze(luck.choice(processes.numbers()), FROZEN)
                if until is None and datetime.now(UTC) - since > MAX_PLANNING:
                    until = await stop_planning(store, processes)
            until = until or await stop_planning(store, processes)
            account = Account(JOBS, since, until, ONCE, LETTERED, FOLLOWERS)
            await account.complete(store, within=300)
        found = await read_stored_runs(store, account.all_jobs)
        assert await miscounted(store, found) == []
        await store.aclose()

    print(account.summary(found, target.hits()))
    assert account.problems(found, target.hits()) == []


async def stop_planning(store: Store, processes: _Processes) -> datetime:
    """Wait until the ticks have planned up to now, which is the result; then end the ticker."""
    until = second(datetime.now(UTC))
    async with asyncio.timeout(240):
        while (await Cursors(store).read(PLANNED_UNTIL_CURSOR) or until) <= until:  # noqa: ASYNC110 - it is in a store
            await asyncio.sleep(0.25)
    processes.stop("ticker")
    return until


class _Processes:
    """Started again at once when they are killed. Some stand still for longer than their messages and leases last."""

    def __init__(self, herd: Herd) -> None:
        self._herd = herd
        self._pids: dict[int, int] = {}

    async def start(self) -> None:
        for number in range(len(PROCESSES)):
            await self._start(number)

    async def kill(self, number: int) -> None:
        """And start another one. Raises ProcessLookupError if it has ended by itself."""
        os.kill(self._pids[number], signal.SIGKILL)
        await self._start(number)

    def numbers(self) -> list[int]:
        """Return the numbers of those that were not stopped."""
        return sorted(self._pids)

    def freeze(self, number: int, seconds: float) -> None:
        """Stop it, and let it go on later if it is not killed until then: others may have taken its work."""
        pid = self._pids[number]
        os.kill(pid, signal.SIGSTOP)
        asyncio.get_running_loop().call_later(seconds, self._thaw, pid)

    def stop(self, kind: Kind) -> None:
        """Kill those of this kind for good."""
        for number in [each for each, its in enumerate(PROCESSES) if its == kind]:
            os.kill(self._pids.pop(number), signal.SIGKILL)

    def _thaw(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    async def _start(self, number: int) -> None:
        self._pids[number] = await self._herd.start(PROCESSES[number])


@asynccontextmanager
async def _processes(environ: Mapping[str, str], message: Path) -> AsyncIterator[_Processes]:
    with message.open("wb") as output:
        async with Herd(environ, PLATFORM, output) as herd:
            processes = _Processes(herd)
            await processes.start()
            yield processes
