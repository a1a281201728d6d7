"""Fifty clients change one stored job at the same time, and no change is lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.parts.host import Host, embedded, job
from tests.parts.proc import run

WRITERS = 50
PATH = "/api/jobs/counter"
FIRST = {"name": "counter", **job("http://127.0.0.1:9/"), "tags": {"count": "0"}}
LONGEST_PAUSE = 3.0
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
        await asyncio.sleep(luck.uniform(0, min(LONGEST_PAUSE, 0.1 * 2**lost)))


async def count_to_fifty(hosts: Sequence[Host]) -> None:
    """Half of the clients PUT and half PATCH, at all of the hosts; then nothing is lost, and all of it is recorded."""
    luck = random.Random(1)
    created = await hosts[0].client.post("/api/jobs", json=FIRST)
    assert created.status_code == 201, created.text
    writers = [(hosts[number % len(hosts)].client, number < WRITERS // 2) for number in range(WRITERS)]
    lost = await asyncio.gather(*(increment(client, by_patch=by_patch, luck=luck) for client, by_patch in writers))

    for host in hosts:
        assert (await host.get(PATH))["declared"] == {**FIRST, "tags": {"count": str(WRITERS)}}
    versions = (await hosts[0].get(f"{PATH}/versions"))["versions"]
    counted = {one["number"]: int(one["definition"]["tags"]["count"]) for one in versions}
    assert counted == {number + 1: number for number in range(WRITERS + 1)}
    entries: list[dict[str, Any]] = (await hosts[0].get("/api/audit?limit=500"))["entries"]
    recorded = Counter((entry["kind"], entry["action"]) for entry in entries if entry["object"] == "counter")
    assert recorded == {
        ("change", "job.create"): 1,
        ("change", "job.patch"): WRITERS // 2,
        ("change", "job.replace"): WRITERS // 2,
    }
    assert sum(lost) > 0, "the clients did not meet each other"


@pytest.mark.timeout(400)
async def test_fifty_writers_of_one_job_lose_no_update(tmp_path: Path) -> None:
    env = {"SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}"}
    async with embedded(tmp_path, {}, **env) as host:
        host.client.timeout = 120
        await count_to_fifty([host])
        await host.stop()
    await verify(tmp_path, env)


async def verify(folder: Path, env: dict[str, str]) -> None:
    """The audit trail is a valid chain."""
    settings = {"SCHEDULER_ENVIRONMENT": "test", "SCHEDULER_JOBS": str(folder / "jobs"), **env}
    verified = await run("audit", "verify", env=settings, cwd=folder)
    assert verified.code == 0, verified.stdout + verified.stderr
    assert verified.stdout.startswith("valid: ")
