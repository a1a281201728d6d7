"""Planning a set of 10,000 unchanged jobs takes 20 requests or one, and reads one row of the store."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.stored_jobs.repository import StoredJobs
from scheduler.stores.stored_jobs.tree import JobWrite
from tests.parts.azurite import fresh_prefix, running_azurite
from tests.parts.host import Host, embedded
from tests.parts.proc import Program

JOBS = 10_000
MAX_REQUESTS = 20
DESIRED = {
    f"job-{number:05}": {"schedule": {"every": "24h"}, "check": {"url": f"http://127.0.0.1:9/{number}"}}
    for number in range(JOBS)
}


async def read_all(host: Host, etag: str = "") -> tuple[dict[str, Any], str, int]:
    """The declared jobs, the ETag of their set, and the number of requests, as a client that plans by itself."""
    found: dict[str, Any] = {}
    query, requests = {"view": "full", "limit": "500"}, 0
    while True:
        page = await host.client.get("/api/jobs", params=query, headers={"If-None-Match": etag} if etag else {})
        requests += 1
        if page.status_code == 304:
            return {}, page.headers["ETag"], requests
        assert page.status_code == 200, page.text
        found |= {one["name"]: one["definition"] for one in page.json()["jobs"]}
        if (rest := page.json()["continuation"]) is None:
            return found, page.headers["ETag"], requests
        query["continuation"] = rest


def memory_of(host: Host) -> int:
    """The most MiB that the process has used; 0 where the system does not report it."""
    status = Path(f"/proc/{host.program.pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:")), 0)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_planning_ten_thousand_unchanged_jobs_takes_at_most_twenty_requests(tmp_path: Path) -> None:
    accesses: list[str] = []
    prefix = fresh_prefix()
    with running_azurite(accesses.append) as azurite:
        store = await open_azure_tables(connection_string=azurite.connection_string, prefix=prefix)
        jobs = StoredJobs(store)
        writes = [JobWrite(name, definition, "shop") for name, definition in DESIRED.items()]
        await jobs.commit(await jobs.read(), writes, datetime.now(UTC), "local:test")
        await store.aclose()
        async with embedded(tmp_path, {}, Program, **azurite.settings(prefix)) as host:
            host.client.timeout = 300
            found, etag, requests = await read_all(host)
            unchanged = await read_all(host, etag)
            before_plan, started = len(accesses), time.monotonic()
            plan = await host.client.post("/api/sets/shop/plan", json={"jobs": DESIRED})
            took = time.monotonic() - started
            await asyncio.sleep(0.1)  # Azurite writes its log a little later.
            # The sweep at the start lists rows.
            of_plan = [line for line in accesses[before_plan:] if "storedjobs" in line and "storedjobs()" not in line]
            memory = memory_of(host)

    assert found == DESIRED
    assert requests <= MAX_REQUESTS
    assert unchanged == ({}, etag, 1)
    assert plan.status_code == 200, plan.text
    answer = plan.json()
    assert (answer["unchanged"], answer["added"], answer["changed"], answer["removed"]) == (JOBS, [], [], [])
    assert of_plan, accesses[-5:]
    assert [line for line in of_plan if "GET" not in line or "head" not in line] == []
    print(f"{requests} requests; plan: {took:.2f} s, {len(of_plan)} reads of the head, at most {memory} MiB")
    assert memory < 700
