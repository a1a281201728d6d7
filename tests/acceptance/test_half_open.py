"""Twenty calls at half-open with two probes: exactly two reach the target, whatever the store and the processes."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jobs.definition import JobDefinition
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.port import Store
from scheduler.stores.sqlite.store import open_sqlite
from tests.acceptance.callers import call
from tests.parts.azurite import Azurite
from tests.parts.http_target import HttpTarget

ROOT = Path(__file__).resolve().parents[2]
OPEN_FOR = 0.2


def guarded(url: str) -> dict[str, Any]:
    return {
        "name": "checkout",
        "check": {"url": f"{url}/health"},
        "timeout": {"attempt": "60s", "run": "60s"},
        "retry": {"attempts": 1},
        "circuit": {"consecutive_failures": 2, "open_for": "200ms", "probes": 2},
    }


async def opened(store: Store, job: JobDefinition, target: HttpTarget) -> None:
    """The circuit opened by two failures, and due to be tried again; the target answers only once its gate is open."""
    target.on("/health", 503)
    for _ in range(2):
        assert await call(store, job, 1) == {"failed": 1}
    assert await call(store, job, 1) == {"rejected": 1}
    await asyncio.sleep(OPEN_FOR)


async def probed(target: HttpTarget, calling: asyncio.Future[Any]) -> None:
    """Until two requests are there, and a while longer, in which others would come."""
    await target.wait_for_requests(4, timeout=60)
    await asyncio.wait([calling], timeout=1.0)


@pytest.mark.slow
async def test_of_twenty_calls_in_a_process_with_sqlite_two_reach_the_target(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "scheduler.db")
    async with HttpTarget() as target:
        job = JobDefinition.model_validate(guarded(target.url))
        await opened(store, job, target)
        gate = target.hold("/health")
        calling = asyncio.ensure_future(call(store, job, 20))
        await probed(target, calling)
        gate.set()
        outcomes = await calling
        arrived = len(target.requests) - 2
        afterwards = await call(store, job, 20)
    await store.aclose()

    assert (arrived, outcomes) == (2, {"succeeded": 2, "rejected": 18})
    assert afterwards == {"succeeded": 20}  # both probes succeeded: it is closed


@pytest.mark.slow
async def test_of_twenty_calls_in_two_processes_with_azure_tables_two_reach_the_target(
    azurite: Azurite, storage_prefix: str
) -> None:
    store = await open_azure_tables(connection_string=azurite.connection_string, prefix=storage_prefix)
    async with HttpTarget() as target:
        definition = guarded(target.url)
        processes = [await _caller(azurite, storage_prefix, definition) for _ in range(2)]
        await opened(store, JobDefinition.model_validate(definition), target)
        gate = target.hold("/health")
        calling = asyncio.gather(*map(_outcomes, processes))
        await probed(target, calling)
        gate.set()
        outcomes = await calling
        arrived = len(target.requests) - 2
    await store.aclose()

    assert (arrived, dict(sum(outcomes, Counter[str]()))) == (2, {"succeeded": 2, "rejected": 18})


async def _caller(azurite: Azurite, prefix: str, job: dict[str, Any]) -> Process:
    """A process that is about to make ten runs."""
    expected = {"connection_string": azurite.connection_string, "prefix": prefix, "job": job, "count": 10}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.acceptance.callers", json.dumps(expected), cwd=ROOT, stdin=PIPE, stdout=PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def _outcomes(process: Process) -> Counter[str]:
    output, _ = await process.communicate(b"go\n")
    assert process.returncode == 0
    return Counter(json.loads(output))
