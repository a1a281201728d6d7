"""Chains whose processes are killed with SIGKILL: every job of a chain has one run, and what ran says so."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from jobs.runs import Outcome, Run
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.port import Store
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite.connections import StoreAccess
from scheduler.stores.sqlite.store import open_sqlite
from tests.parts.azurite import Azurite
from tests.parts.functions_style import Kind, Platform, environment, spawn
from tests.parts.http_target import Answer, HttpTarget, Request
from tests.parts.proc import Program, free_port

KILLS = 8
DEPENDS_ON: dict[str, list[Any]] = {
    "left": ["root"],
    "right": ["root"],
    "join": ["left", "right"],
    "last": [{"job": "join", "condition": "finished"}, "root"],
}


def definitions(url: str) -> dict[str, Any]:
    """A diamond behind a job of each second, and one job more."""
    jobs: dict[str, Any] = {
        job: {"check": {"url": f"{url}/{job}"}, "depends_on": others, "overlap": "allow", "retry": {"attempts": 1}}
        for job, others in DEPENDS_ON.items()
    }
    root = {"check": {"url": f"{url}/root"}, "schedule": "every 1s", "overlap": "allow", "catch_up": {"policy": "all"}}
    return jobs | {"root": root}


class Target(HttpTarget):
    """Answers at once, after a moment, or that something is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self._luck = random.Random(1)

    def answer(self, request: Request) -> Answer:
        is_root = request.target == "/root"
        return Answer(status=self._luck.choice((200, 200, 200 if is_root else 500)), delay=self._luck.choice((0, 0.3)))


async def chains(store: Store) -> dict[str, dict[str, list[Run]]]:
    """The runs by correlation id and job, once all have ended."""
    runs = Runs(store)
    async with asyncio.timeout(240):
        while in_flight := [*await runs.list_unfinished(), *await runs.list_unacknowledged()]:
            print(f"{len(in_flight)} runs are under way")
            await asyncio.sleep(1)
    found: dict[str, dict[str, list[Run]]] = {}
    for job in ("root", *DEPENDS_ON):
        continuation: str | None = ""
        while continuation is not None:
            page = await runs.list_page(job=job, limit=500, continuation=continuation or None)
            for run in (record.run for record in page.records if record.run is not None):
                found.setdefault(run.correlation_id, {}).setdefault(job, []).append(run)
            continuation = page.continuation
    return found


def wrong(chain: dict[str, list[Run]]) -> list[str]:
    """What is wrong with a chain, in sentences."""
    sentences = [f"{job} has {len(runs)} runs" for job, runs in chain.items() if len(runs) != 1]
    sentences += [f"{job} has no run" for job in DEPENDS_ON if job not in chain]
    if sentences:
        return sentences
    outcome = {job: runs[0].outcome for job, runs in chain.items()}
    for job, others in DEPENDS_ON.items():
        requested = [other for other in others if isinstance(other, str)]
        is_requested = all(outcome[other] is Outcome.SUCCEEDED for other in requested)
        if job == "last":
            is_requested = is_requested and outcome["join"] not in (Outcome.SKIPPED, Outcome.CANCELLED)
        if (outcome[job] is not Outcome.SKIPPED) is not is_requested:
            sentences.append(f"{job} is {outcome[job]}, and it depends on {others}: {outcome}")
    return sentences


def check(found: dict[str, dict[str, list[Run]]], target: Target) -> None:
    problems = {chain: sentences for chain, runs in found.items() if (sentences := wrong(runs))}
    outcomes = Counter(run.outcome for chain in found.values() for runs in chain.values() for run in runs)
    hits = Counter(request.headers["idempotency-key"] for request in target.requests)
    print(f"{len(found)} chains, {dict(outcomes)}, {sum(count > 1 for count in hits.values())} runs executed again")
    assert problems == {}
    assert len(found) >= KILLS
    assert outcomes[Outcome.SKIPPED] > 0
    assert all("@" in chain and chain.startswith("root@") for chain in found)


@pytest.mark.slow
@pytest.mark.timeout(700)
async def test_a_server_that_is_killed_again_and_again_runs_each_chain_to_its_end(tmp_path: Path) -> None:
    luck = random.Random(2)
    async with Target() as target:
        (tmp_path / "jobs.json").write_text(json.dumps({"jobs": definitions(target.url)}))
        env = {
            "SCHEDULER_ENVIRONMENT": "test",
            "SCHEDULER_JOBS": str(tmp_path / "jobs.json"),
            "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}",
        }
        for _ in range(KILLS):
            async with Program("serve", "--port", str(free_port()), env=env, cwd=tmp_path):
                await target.wait_for_requests(len(target.requests) + luck.choice((1, 3, 8)), timeout=120)
                await asyncio.sleep(luck.uniform(0, 0.5))
        # The root is not due any more, so that the chains come to their end.
        jobs = definitions(target.url)
        jobs["root"]["enabled"] = False
        (tmp_path / "jobs.json").write_text(json.dumps({"jobs": jobs}))
        async with Program("serve", "--port", str(free_port()), env=env, cwd=tmp_path):
            await asyncio.sleep(5)
            store = await open_sqlite(tmp_path / "state.db", StoreAccess.SHARED)
            found = await chains(store)
            await store.aclose()
    check(found, target)


PLATFORM = Platform(
    hidden=3,
    hidden_after_failure=1,
    longest_pause=0.2,
    tick=2,
    shortened={
        "scheduler.dispatch.batches.BATCH_SLICE": 1,
        "scheduler.dispatch.batches.VISIBLE_BEFORE": 1,
        "scheduler.leasing.MIN_LEASE_S": 4,
        "scheduler.leasing.MIN_LEASE_LEFT_S": 1,
        "scheduler.leasing.LEASE_MARGIN_S": 1,
        "scheduler.worker.claims.MIN_LEFT_TO_SEND": 1,
        "scheduler.worker.claims.RENEWAL_INTERVAL": 1,
        "scheduler.worker.claims.RENEWAL_THRESHOLD": 2,
        "scheduler.hosts.functions.timer.PLANNING_HORIZON": 6,
        "scheduler.hosts.functions.timer.UNACKNOWLEDGED_AFTER": 3,
        "scheduler.hosts.functions.timer.STRANDED_AFTER": 5,
    },
)


@pytest.mark.slow
@pytest.mark.timeout(700)
async def test_functions_processes_that_are_killed_again_and_again_run_each_chain_to_its_end(
    azurite: Azurite, storage_prefix: str, tmp_path: Path
) -> None:
    luck = random.Random(3)
    kinds: tuple[Kind, ...] = ("worker", "worker", "ticker")
    async with Target() as target:
        jobs = definitions(target.url)
        (tmp_path / "jobs.json").write_text(json.dumps({"jobs": jobs}))
        environ = environment(azurite.connection_string, storage_prefix, tmp_path / "jobs.json")
        with ExitStack() as stack:
            output = stack.enter_context((tmp_path / "said.txt").open("wb"))
            processes = [spawn(kind, environ, PLATFORM, output) for kind in kinds]

            def end(number: int) -> None:
                processes[number].kill()
                processes[number].wait()

            def again(number: int) -> None:
                end(number)
                processes[number] = spawn(kinds[number], environ, PLATFORM, output)

            for number in range(len(kinds)):
                stack.callback(end, number)
            for _ in range(KILLS):
                await target.wait_for_requests(len(target.requests) + luck.choice((1, 5, 10)), timeout=120)
                await asyncio.sleep(luck.uniform(0, 1))
                again(luck.randrange(len(kinds)))
            jobs["root"]["enabled"] = False
            (tmp_path / "jobs.json").write_text(json.dumps({"jobs": jobs}))
            for number in range(len(kinds)):
                again(number)
            await asyncio.sleep(10)
            store = await open_azure_tables(connection_string=azurite.connection_string, prefix=storage_prefix)
            found = await chains(store)
            await store.aclose()
    check(found, target)
