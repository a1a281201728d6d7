"""Log records of background work arrive at the Functions host, which drops those outside of a running invocation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from jobs.redaction import Redactor
from observability.exporters.background import DeliveryCounts
from tests.parts.functions_worker import FunctionsWorker, WorkerFactory
from tests.scheduler.functions.hosted import ROOT, environment

pytestmark = pytest.mark.worker


class HostLog(logging.Handler):
    """The worker's handler and the host behind it: a record is taken if its task belongs to a running invocation.

    As AsyncLoggingHandler and get_current_invocation_id of the worker's dispatcher, and GrpcWorkerChannel.Log of the
    host, do it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []
        self.dropped: list[str] = []
        self.invoked: asyncio.Task[object] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        taken = task is not None and task is self.invoked
        (self.taken if taken else self.dropped).append(record.getMessage())


@pytest.fixture
def host_log() -> Iterator[HostLog]:
    handler = HostLog()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture
async def worker(
    functions_worker: WorkerFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FunctionsWorker]:
    """With job files that are not there: how far the program opens does not matter here."""
    for name, value in environment("UseDevelopmentStorage=true", "scheduler", tmp_path / "jobs").items():
        monkeypatch.setenv(name, value)
    async with functions_worker(ROOT, fresh=("scheduler.hosts.functions",)) as worker:
        yield worker


async def tick(worker: FunctionsWorker, host_log: HostLog) -> None:
    async def invoke() -> None:
        host_log.invoked = asyncio.current_task()
        await worker.timer("tick")
        host_log.invoked = None

    await asyncio.create_task(invoke())


async def test_that_telemetry_is_not_accepted_is_logged_by_the_next_tick(
    worker: FunctionsWorker, host_log: HostLog
) -> None:
    await tick(worker, host_log)
    exporter = DeliveryCounts("application_insights", Redactor())
    await asyncio.to_thread(exporter.record_failure, "answered 500")
    sentence = "could not send telemetry to application_insights: answered 500; runs are not affected"
    assert sentence not in host_log.taken

    await tick(worker, host_log)

    assert host_log.taken.count(sentence) == 1
    assert sentence not in host_log.dropped


async def test_what_an_invocation_logs_itself_is_passed_on_at_once(worker: FunctionsWorker, host_log: HostLog) -> None:
    await tick(worker, host_log)

    assert any("the scheduler cannot start" in message for message in host_log.taken)
