"""The storage account goes away and comes back: what the functions say meanwhile, and that all goes on by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scheduler.dispatch import azure_queue
from scheduler.dispatch.port import DispatchError
from scheduler.hosts.functions import program as functions_program
from scheduler.hosts.functions.program import FunctionsProfile
from scheduler.hosts.functions.triggers import FunctionsHost
from scheduler.stores.azure import store
from scheduler.stores.port import StoreUnavailable
from scheduler.worker.options import FUNCTIONS_OPTIONS
from tests.parts.azurite import Azurite
from tests.scheduler.functions.asking import Answered, ask
from tests.scheduler.functions.cut_line import CutLine
from tests.scheduler.functions.hosted import RunQueue, environment


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second tries by Microsoft's clients, and none of the pause before the program is opened again."""
    monkeypatch.setitem(azure_queue._CLIENT_OPTIONS, "retry_total", 0)
    monkeypatch.setitem(store._CLIENT_OPTIONS, "retry_total", 0)
    monkeypatch.setattr(functions_program, "FAILURE_REUSE_TIME", 0.0)


@pytest.fixture
async def tables(azurite: Azurite) -> AsyncIterator[CutLine]:
    async with CutLine(urlsplit(azurite.table_url).port or 0) as line:
        yield line


@pytest.fixture
async def queues(azurite: Azurite) -> AsyncIterator[CutLine]:
    async with CutLine(urlsplit(azurite.queue_url).port or 0) as line:
        yield line


@pytest.fixture
async def host(
    azurite: Azurite, tables: CutLine, queues: CutLine, queue: RunQueue, storage_prefix: str, jobs: Path
) -> AsyncIterator[FunctionsHost]:
    connection_string = (
        f"DefaultEndpointsProtocol=http;AccountName={azurite.account};AccountKey={azurite.key};"
        f"TableEndpoint=http://127.0.0.1:{tables.port}/{azurite.account};"
        f"QueueEndpoint=http://127.0.0.1:{queues.port}/{azurite.account};"
    )
    host = FunctionsHost(environment(connection_string, storage_prefix, jobs))
    yield host
    await host.aclose()


async def open_connections(host: FunctionsHost) -> None:
    """Health uses the store and the queue; on a busy machine the first request exceeds its time limit."""
    for _ in range(10):
        ready = await ask(host, "GET", "/api/health/ready")
        if ready.status == 200:
            return
    raise AssertionError(ready)


def assert_unavailable(answer: Answered, what: str) -> None:
    assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["detail"].startswith(what)


async def test_a_store_that_is_unavailable_at_the_start_is_reported_and_opened_once_it_exists(
    host: FunctionsHost, tables: CutLine
) -> None:
    await tables.cut()
    with pytest.raises(StoreUnavailable, match=r"Azure table health cannot be used .* check the storage account"):
        await host.tick()
    assert_unavailable(await ask(host, "GET", "/api/status"), "Azure table health cannot be used")
    assert (await ask(host, "GET", "/api/health/live")).status == 200

    await tables.mend()

    await host.tick()
    await open_connections(host)


async def test_a_queue_that_is_unavailable_at_the_start_is_reported_and_opened_once_it_exists(
    host: FunctionsHost, queues: CutLine, storage_prefix: str
) -> None:
    await queues.cut()
    with pytest.raises(DispatchError, match=r"could not open queue '.*-runs' .*: check the storage account"):
        await host.tick()
    assert_unavailable(await ask(host, "GET", "/api/status"), f"could not open queue '{storage_prefix}-runs'")

    await queues.mend()

    await host.tick()


async def test_a_tick_fails_while_the_store_is_unavailable_and_the_next_one_makes_up_for_it(
    host: FunctionsHost, tables: CutLine, queue: RunQueue
) -> None:
    await open_connections(host)
    await tables.cut()
    with pytest.raises(StoreUnavailable):
        await host.tick()
    assert await queue.length() == 0

    await tables.mend()
    await host.tick()

    assert await queue.length() >= 3


async def test_a_tick_fails_while_the_queue_is_unavailable_and_the_next_one_makes_up_for_it(
    host: FunctionsHost, queues: CutLine, queue: RunQueue
) -> None:
    await open_connections(host)
    await queues.cut()
    with pytest.raises(DispatchError, match=r"could not send \d tickets to queue '.*-runs'"):
        await host.tick()

    await queues.mend()
    await host.tick()

    assert await queue.length() >= 3


async def test_health_reports_at_once_that_the_queue_is_unavailable_and_after_the_next_tick_that_it_is_well(
    host: FunctionsHost, queues: CutLine, storage_prefix: str
) -> None:
    async def queue() -> tuple[str, str]:
        parts = {part["name"]: part for part in (await ask(host, "GET", "/api/status")).json()["parts"]}
        return parts["queue"]["status"], parts["queue"]["message"]

    before = await queue()
    await queues.cut()
    with pytest.raises(DispatchError):
        await host.tick()
    unavailable = await queue()

    await queues.mend()
    await host.tick()

    assert before == await queue() == ("ok", "")
    assert unavailable[0] == "degraded"
    assert unavailable[1].startswith(f"not known: could not read the length of queue '{storage_prefix}-runs'")
    assert "check the storage account" in unavailable[1]


async def test_requests_are_refused_while_the_store_is_unavailable_and_answered_again_afterwards(
    host: FunctionsHost, tables: CutLine
) -> None:
    assert (await ask(host, "GET", "/api/runs")).status == 200
    await tables.cut()
    assert_unavailable(await ask(host, "GET", "/api/runs"), "Azure table history cannot be used")
    assert_unavailable(await ask(host, "POST", "/api/jobs/onDemand/run"), "Azure table audit cannot be used")
    ready = await ask(host, "GET", "/api/health/ready")
    assert (ready.status, ready.json()["status"]) == (503, "down")
    assert (await ask(host, "GET", "/api/health/live")).status == 200

    await tables.mend()

    assert (await ask(host, "GET", "/api/runs")).status == 200
    assert (await ask(host, "POST", "/api/jobs/onDemand/run")).status == 202


async def test_a_run_that_the_queue_did_not_take_is_stored_as_queued(
    host: FunctionsHost, queues: CutLine, storage_prefix: str
) -> None:
    """A tick sends it later: see TickWork.send_stranded."""
    await open_connections(host)
    await queues.cut()

    assert_unavailable(
        await ask(host, "POST", "/api/jobs/onDemand/run"),
        f"could not send 1 ticket to queue '{storage_prefix}-runs'",
    )

    (run,) = (await ask(host, "GET", "/api/runs?job=onDemand")).json()["runs"]
    assert run["state"] == "queued"


async def test_a_ticket_returns_to_the_queue_while_the_store_is_unavailable_and_is_performed_once_it_exists(
    host: FunctionsHost, tables: CutLine, queue: RunQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not a failure of the message: an outage of some minutes must not bury what waits."""
    monkeypatch.setattr(FunctionsProfile, "worker_options", replace(FUNCTIONS_OPTIONS, max_wait=0.1))
    run_id = (await ask(host, "POST", "/api/jobs/onDemand/run")).json()["id"]
    (message,) = await queue.take()
    await tables.cut()
    await host.perform_batch(message.content.encode())
    await queue.delete(message)

    await tables.mend()
    (again,) = await queue.take_when_visible()
    await host.perform_batch(again.content.encode())

    assert (await ask(host, "GET", f"/api/runs/{run_id}")).json()["outcome"] == "succeeded"
