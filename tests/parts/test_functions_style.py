"""The stand-in for the Functions host keeps the platform's rules, and runs the program."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from tests.parts.azurite import Azurite
from tests.parts.functions_style import Listener, Platform, environment, spawn
from tests.parts.http_target import HttpTarget

QUICK = Platform(hidden=1, hidden_after_failure=0, most_deliveries=3, longest_pause=0.1)


class Queues:
    def __init__(self, queue: QueueClient, poison: QueueClient) -> None:
        self.queue, self.poison = queue, poison

    @asynccontextmanager
    async def read(self, function: Callable[[QueueMessage], Awaitable[None]]) -> AsyncIterator[None]:
        listening = asyncio.create_task(Listener(self.queue, function, QUICK, self.poison).run())
        try:
            async with asyncio.timeout(30):
                yield
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def count(self, queue: QueueClient) -> int | None:
        return (await queue.get_queue_properties()).approximate_message_count


@pytest.fixture
async def queues(azurite: Azurite, storage_prefix: str) -> AsyncIterator[Queues]:
    async with (
        QueueClient.from_connection_string(azurite.connection_string, f"{storage_prefix}-a") as queue,
        QueueClient.from_connection_string(azurite.connection_string, f"{storage_prefix}-a-poison") as poison,
    ):
        await queue.create_queue()
        await poison.create_queue()
        yield Queues(queue, poison)


async def test_a_message_is_deleted_after_its_function(queues: Queues) -> None:
    observed: list[str] = []

    async def function(message: QueueMessage) -> None:
        observed.append(message.content)

    await queues.queue.send_message("one")
    async with queues.read(function):
        while await queues.count(queues.queue):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert observed == ["one"]


async def test_a_message_that_fails_each_time_moves_to_the_poison_queue(queues: Queues) -> None:
    deliveries: list[int | None] = []

    async def function(message: QueueMessage) -> None:
        deliveries.append(message.dequeue_count)
        raise ValueError("as the test wants it")

    await queues.queue.send_message("one")
    async with queues.read(function):
        while not await queues.count(queues.poison):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        while await queues.count(queues.queue):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert deliveries == [1, 2, 3]
    assert [message.content async for message in queues.poison.receive_messages()] == ["one"]


async def test_a_message_in_work_stays_hidden_for_longer_than_its_time_out(queues: Queues) -> None:
    deliveries: list[int | None] = []

    async def function(message: QueueMessage) -> None:
        deliveries.append(message.dequeue_count)
        await asyncio.sleep(2.5)

    await queues.queue.send_message("one")
    async with queues.read(function):
        while await queues.count(queues.queue):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert deliveries == [1]


async def test_processes_plan_and_run_a_job_as_on_the_platform(
    azurite: Azurite, storage_prefix: str, tmp_path: Path
) -> None:
    async with HttpTarget() as target:
        job = {"schedule": {"every": "1s"}, "check": {"url": f"{target.url}/a"}}
        (tmp_path / "jobs.json").write_text(json.dumps({"jobs": {"a": job}}))
        environ = environment(azurite.connection_string, storage_prefix, tmp_path)
        platform = Platform(
            tick=1, longest_pause=0.2, shortened={"scheduler.hosts.functions.timer.PLANNING_HORIZON": 3}
        )
        text = tmp_path / "said.txt"
        with text.open("wb") as output:
            processes = [spawn(kind, environ, platform, output) for kind in ("worker", "ticker")]
        try:
            async with asyncio.timeout(40):
                while len({each.headers["idempotency-key"] for each in target.requests_to("/a")}) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    assert {"listening", "ticking"} <= set(text.read_text().split())
