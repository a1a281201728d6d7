"""Clients change one stored job at the same time, at one process and at two, and no change is lost.

`WRITERS=50 ./dev test tests/acceptance/test_concurrent_writers.py -s` has 50 clients of two processes too. It prints
how many writes of each client came too late.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.forked_programs import ForkedPrograms
from tests.parts.azurite import Azurite
from tests.parts.host import embedded, job
from tests.parts.proc import run

WRITERS = 50
WRITERS_OF_TWO = int(os.environ.get("WRITERS", "10"))
"""Clients of two processes, whose writes each cost several requests to Azurite."""
PATH = "/api/jobs/counter"
FIRST = {"name": "counter", **job("http://127.0.0.1:9/"), "tags": {"count": "0"}}
MAX_PAUSE = 3.0
"""Seconds until a client repeats a change that came too late; the pauses grow."""


async def increment(client: httpx.AsyncClient, *, by_patch: bool, luck: random.Random) -> int:
    """Add one to the count, as a client does: read, change, write if it is unchanged, or again. The lost attempts."""
    lost = 0
    while True:
        read = await client.get(PATH)
        count = str(int(read.json()["declared"]["tags"]["count"]) + 1)
        headers = {"If-Match": read.headers["ETag"]}
        if by_patch:
            headers["Content-Type"] = "application/merge-patch+json"
            answer = await client.patch(PATH, json={"tags": {"count": count}}, headers=headers)
        else:
            definition = {**read.json()["declared"], "tags": {"count": count}}
            answer = await client.put(PATH, json=definition, headers=headers)
        if answer.status_code == 200:
            return lost
        assert answer.status_code == 412, answer.text
        lost += 1
        await asyncio.sleep(luck.uniform(0, min(MAX_PAUSE, 0.1 * 2**lost)))


async def count_writes(clients: Sequence[httpx.AsyncClient], number: int) -> None:
    """Half of the writers PUT and half PATCH, at all of the hosts; then nothing is lost, and all of it is recorded."""
    luck = random.Random(1)
    created = await clients[0].post("/api/jobs", json=FIRST)
    assert created.status_code == 201, created.text
    writers = [(clients[at % len(clients)], at < number // 2) for at in range(number)]
    began = time.monotonic()
    lost = await asyncio.gather(*(increment(client, by_patch=by_patch, luck=luck) for client, by_patch in writers))
    print(f"{number} writers took {time.monotonic() - began:.1f} s; too late, each: {sorted(lost)}")

    for client in clients:
        assert (await client.get(PATH)).json()["declared"] == {**FIRST, "tags": {"count": str(number)}}
    versions = (await clients[0].get(f"{PATH}/versions")).json()["versions"]
    counted = {one["number"]: int(one["definition"]["tags"]["count"]) for one in versions}
    assert counted == {count + 1: count for count in range(number + 1)}
    entries: list[dict[str, Any]] = (await clients[0].get("/api/audit?limit=500")).json()["entries"]
    recorded = Counter((entry["kind"], entry["action"]) for entry in entries if entry["object"] == "counter")
    assert recorded == {
        ("change", "job.create"): 1,
        ("change", "job.patch"): number // 2,
        ("change", "job.replace"): number - number // 2,
    }
    assert sum(lost) > 0, "the clients did not meet each other"


@pytest.mark.timeout(400)
async def test_fifty_writers_of_one_job_lose_no_update(tmp_path: Path) -> None:
    env = {"SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}"}
    async with embedded(tmp_path, {}, **env) as host:
        host.client.timeout = 120
        await count_writes([host.client], WRITERS)
        await host.stop()
    settings = {"SCHEDULER_ENVIRONMENT": "test", "SCHEDULER_JOBS": str(tmp_path / "jobs"), **env}
    verified = await run("audit", "verify", env=settings, cwd=tmp_path)
    assert verified.code == 0, verified.stdout + verified.stderr
    assert verified.stdout.startswith("valid: ")


@pytest.mark.timeout(300 + 10 * WRITERS_OF_TWO)
async def test_writers_at_two_processes_on_azure_lose_no_update(
    azurite: Azurite, storage_prefix: str, tmp_path: Path
) -> None:
    env = {
        "SCHEDULER_ENVIRONMENT": "test",
        "SCHEDULER_JOBS": str(tmp_path / "jobs"),
        **azurite.settings(storage_prefix),
    }
    (tmp_path / "jobs").mkdir()
    with (tmp_path / "output.txt").open("wb") as output:
        async with ForkedPrograms(env, tmp_path, output) as programs, AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(serving(programs)) for _ in range(2)]
            await count_writes(clients, WRITERS_OF_TWO)
            await programs.wait(await programs.start("audit", "verify"))
    assert "\nvalid: " in (tmp_path / "output.txt").read_text()


@asynccontextmanager
async def serving(programs: ForkedPrograms) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a new process, which is ready."""
    url, pid = await programs.serve()
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        yield client
    await programs.kill(pid)
