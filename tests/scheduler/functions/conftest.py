"""The program as the Functions platform runs it."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from observability.invocations import HELD_RECORDS
from scheduler.stores.azure.opening import open_azure_tables
from tests.parts.azurite import Azurite
from tests.parts.functions_worker import WorkerFactory
from tests.parts.http_target import HttpTarget
from tests.scheduler.functions.hosted import ROOT, Hosted, RunQueue, environment, open_run_queue, write_jobs


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """The program sets up the worker's logging, which is the test process's here."""
    HELD_RECORDS.clear()
    root = logging.getLogger()
    level, handlers = root.level, [(each, each.formatter, list(each.filters)) for each in root.handlers]
    loggers = {name: each.level for name, each in root.manager.loggerDict.items() if isinstance(each, logging.Logger)}
    yield
    root.setLevel(level)
    for handler, formatter, filters in handlers:
        handler.setFormatter(formatter)
        handler.filters = filters
    for name, each in loggers.items():
        logging.getLogger(name).setLevel(each)


@pytest.fixture
async def target() -> AsyncIterator[HttpTarget]:
    async with HttpTarget() as target:
        yield target


@pytest.fixture
def jobs(tmp_path: Path, target: HttpTarget) -> Path:
    """The folder of job files: two that run each minute and one that only people run."""
    folder = tmp_path / "jobs"
    check = {"kind": "http", "url": f"{target.url}/health"}
    failing = {"kind": "http", "url": f"{target.url}/down"}
    target.on("/down", 503)
    write_jobs(
        folder,
        checkout={"schedule": "*/20 * * * * *", "check": check},
        search={"schedule": "*/20 * * * * *", "check": failing, "retry": {"attempts": 1}},
        onDemand={"check": check},
    )
    return folder


@pytest.fixture
async def queue(azurite: Azurite, storage_prefix: str) -> AsyncIterator[RunQueue]:
    async with open_run_queue(azurite.connection_string, storage_prefix) as queue:
        yield queue


@pytest.fixture
async def hosted(
    functions_worker: WorkerFactory,
    azurite: Azurite,
    storage_prefix: str,
    queue: RunQueue,
    jobs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Hosted]:
    for name, value in environment(azurite.connection_string, storage_prefix, jobs).items():
        monkeypatch.setenv(name, value)
    store = await open_azure_tables(connection_string=azurite.connection_string, prefix=storage_prefix)
    async with functions_worker(ROOT, fresh=("scheduler.hosts.functions",)) as worker:
        yield Hosted(worker, queue, store)
        await sys.modules["scheduler.hosts.functions"].host.aclose()
    await store.aclose()
