"""The program in Microsoft's worker on Azurite, and the host's part of the work: handing over what is on the queue.

hosted.worker                               # see tests.parts.functions_worker
await hosted.deliver()                      # every visible message to `work`; deleted where that succeeds
await hosted.runs.get(run_id)               # what the program recorded, read past it
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from azure.storage.queue import QueueMessage, TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient

from scheduler.dispatch.queue_names import run_queue_name
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.port import Store
from scheduler.stores.runs.repository import Runs
from scheduler.stores.schedules import Cursors, ScheduleActivations
from tests.parts.functions_worker import FunctionsWorker, Invocation

ROOT = Path(__file__).resolve().parents[3]


def environment(connection_string: str, prefix: str, jobs: Path) -> dict[str, str]:
    """What an operator sets on the Functions app."""
    return {
        "AzureWebJobsStorage": connection_string,
        "SCHEDULER_ENVIRONMENT": "prod",
        "SCHEDULER_TARGETS__NETWORKS": "127.0.0.0/8,::1",
        "SCHEDULER_STORE": "azure",
        "SCHEDULER_STORAGE__PREFIX": prefix,
        "SCHEDULER_JOBS": str(jobs),
    }


def write_jobs(folder: Path, **jobs: Mapping[str, object]) -> Path:
    """A folder with one file that holds these jobs (YAML takes JSON). Returns the file."""
    folder.mkdir(exist_ok=True)
    file = folder / "jobs.yaml"
    file.write_text(json.dumps({"jobs": jobs}))
    return file


class RunQueue:
    """The queue of tickets as the host sees it."""

    def __init__(self, client: QueueClient) -> None:
        self._client = client

    async def take(self) -> list[QueueMessage]:
        """What is visible now; it is hidden from everybody else from then on."""
        return [message async for message in self._client.receive_messages(max_messages=32, visibility_timeout=60)]

    async def take_when_visible(self) -> list[QueueMessage]:
        async with asyncio.timeout(60):
            while not (messages := await self.take()):  # noqa: ASYNC110  # a queue of Azure has to be asked
                await asyncio.sleep(0.02)
        return messages

    async def delete(self, message: QueueMessage) -> None:
        await self._client.delete_message(message)

    async def length(self) -> int:
        """Messages, hidden ones too."""
        return int((await self._client.get_queue_properties()).approximate_message_count or 0)


@asynccontextmanager
async def open_run_queue(connection_string: str, prefix: str) -> AsyncIterator[RunQueue]:
    decode, name = TextBase64DecodePolicy(), run_queue_name(prefix)
    async with QueueClient.from_connection_string(connection_string, name, message_decode_policy=decode) as client:
        await client.create_queue()
        yield RunQueue(client)


class Hosted:
    """See the module."""

    def __init__(self, worker: FunctionsWorker, queue: RunQueue, store: Store) -> None:
        self.worker = worker
        self.queue = queue
        self.store = store
        self.runs = Runs(store)
        self.cursors = Cursors(store)
        self.marks = ScheduleActivations(store)
        self.dead_letters = DeadLetters(store)

    async def deliver(self) -> list[Invocation]:
        """Hand over everything that is visible, all at a time as the host does."""
        return await self.hand_over(await self.queue.take())

    async def hand_over(self, messages: list[QueueMessage]) -> list[Invocation]:
        return list(await asyncio.gather(*map(self._hand_over, messages)))

    async def _hand_over(self, message: QueueMessage) -> Invocation:
        done = await self.worker.queue("work", message.content, dequeue_count=message.dequeue_count or 1)
        if done.failure is None:
            await self.queue.delete(message)
        return done
