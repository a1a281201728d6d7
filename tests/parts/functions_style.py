"""Processes that do for the program what the Functions host does: deliver queue messages, tick. For crashes and load.

    environ = environment(azurite.connection_string, storage_prefix, jobs_folder)
    worker = spawn("worker", environ, Platform(hidden=4))      # a subprocess.Popen; worker.kill() is a crash
    ticker = spawn("ticker", environ, Platform(tick=2))

What a `worker` does with a message follows the WebJobs SDK's QueueListener and QueueProcessor: up to `batch_size` are
received at once, and again as soon as no more than `new_batch_threshold` are in work; each is hidden for `hidden`
seconds, renewed at half of them, and deleted after the function; a failure shows it again after `hidden_after_failure`
seconds; what was delivered `most_deliveries` times moves to the poison queue, which every worker reads as well. A
`ticker` ticks at each multiple of `tick` seconds, as the timer does. Both hand everything to scheduler.hosts.functions,
as function_app does. Not here: HTTP, scaling, the timer's lock (start one ticker, or two for a lock that was lost).

`Platform()` has the values of host.json and of function_app's timer. `shortened` sets constants of the program, in
seconds by their full name, for tests that cannot wait for them.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Literal

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from tests.parts.proc import ROOT, clean_environment

Kind = Literal["worker", "ticker"]

_QUEUES = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]
_FIRST_PAUSE = 0.1
"""Initial seconds between two reads of an empty queue; each pause is twice the one before."""
VARIABLE = "FUNCTIONS_STYLE"
"""Holds the platform as JSON."""
_log = logging.getLogger("tests.parts.functions_style")


def _seconds(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


@dataclass(frozen=True, slots=True)
class Platform:
    """How the platform behaves; times in seconds."""

    hidden: float = 600.0
    """For how long a message in work is hidden at a time. A crash shows it again only then."""
    hidden_poison: float | None = None
    """The same for messages of the poison queue, which take longer; None: `hidden`."""
    hidden_after_failure: float = _seconds(_QUEUES["visibilityTimeout"])
    most_deliveries: int = _QUEUES["maxDequeueCount"]
    batch_size: int = _QUEUES["batchSize"]
    new_batch_threshold: int = _QUEUES["newBatchThreshold"]
    longest_pause: float = _seconds(_QUEUES["maxPollingInterval"])
    """Between two reads of an empty queue."""
    tick: float = 60.0
    shortened: Mapping[str, float] = field(default_factory=dict)
    """Constants such as {"scheduler.hosts.functions.timer.PLANNING_HORIZON": 8}; one that others import comes before
    those others.
    """


def environment(connection_string: str, prefix: str, jobs: Path) -> dict[str, str]:
    """What the app settings of a deployment say."""
    return {
        "SCHEDULER_ENVIRONMENT": "prod",
        "SCHEDULER_TARGETS__NETWORKS": "127.0.0.0/8,::1",
        "SCHEDULER_STORE": "azure",
        "SCHEDULER_STORAGE__PREFIX": prefix,
        "SCHEDULER_JOBS": str(jobs),
        "AzureWebJobsStorage": connection_string,
    }


def spawn(
    kind: Kind, environ: Mapping[str, str], platform: Platform | None = None, output: IO[bytes] | int | None = None
) -> subprocess.Popen[bytes]:
    """Start a process. `output` gets its output (default: none); it ends with the caller's kill() alone."""
    settings = {VARIABLE: json.dumps(asdict(platform or Platform()))}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.parts.functions_style", kind],
        cwd=ROOT,
        env=clean_environment({**environ, **settings}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if output is None else output,
        stderr=subprocess.DEVNULL if output is None else subprocess.STDOUT,
    )


class Listener:
    """Reads a queue and has each message handled. `poison`: where those go that were delivered too often."""

    def __init__(
        self,
        queue: QueueClient,
        function: Callable[[QueueMessage], Awaitable[None]],
        platform: Platform,
        poison: QueueClient | None = None,
    ) -> None:
        self._queue = queue
        self._function = function
        self._platform = platform
        self._poison = poison
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            if await self._receive():
                pause = _FIRST_PAUSE
                while len(self._running) > self._platform.new_batch_threshold:
                    await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._platform.longest_pause)

    async def _receive(self) -> bool:
        """Whether there was a message."""
        number, hidden = self._platform.batch_size, max(1, int(self._platform.hidden))
        pages = self._queue.receive_messages(messages_per_page=number, visibility_timeout=hidden).by_page()
        try:
            messages = [message async for message in await anext(pages)]
        except StopAsyncIteration:
            return False
        except AzureError as error:
            _log.warning("%s gives no messages: %s", self._queue.queue_name, error)
            return False
        for message in messages:
            task = asyncio.create_task(self._handle(message))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return bool(messages)

    async def _handle(self, message: QueueMessage) -> None:
        deliveries = message.dequeue_count or 1
        try:
            if self._poison is not None and deliveries > self._platform.most_deliveries:
                await self._give_up(message, self._poison)
            elif await self._succeeds(message):
                await self._queue.delete_message(message)
            elif self._poison is not None and deliveries >= self._platform.most_deliveries:
                await self._give_up(message, self._poison)
            elif self._poison is not None:
                shown_after = int(self._platform.hidden_after_failure)
                await self._queue.update_message(message, visibility_timeout=shown_after)
            # Otherwise it stays hidden until its time is over.
        except AzureError as error:
            # Mostly another worker has it by now, as this one stood still: the receipt is not the last one.
            _log.warning("a message of %s is left to others: %s", self._queue.queue_name, error)

    async def _give_up(self, message: QueueMessage, poison: QueueClient) -> None:
        await poison.send_message(message.content)
        await self._queue.delete_message(message)

    async def _succeeds(self, message: QueueMessage) -> bool:
        over = asyncio.Event()
        renewing = asyncio.create_task(self._renew(message, over))
        try:
            await self._function(message)
        except Exception as error:
            _log.warning("a message of %s failed: %r", self._queue.queue_name, error)
            return False
        finally:
            over.set()
            await renewing
        return True

    async def _renew(self, message: QueueMessage, over: asyncio.Event) -> None:
        """Keep it hidden; each time its receipt becomes another one, so a renewal is not cut short."""
        hidden = max(1, int(self._platform.hidden))
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), hidden / 2)
                return
            try:
                renewed = await self._queue.update_message(message, visibility_timeout=hidden)
            except AzureError as error:
                _log.warning("a message of %s is not renewed: %s", self._queue.queue_name, error)
            else:
                message.pop_receipt = renewed.pop_receipt


async def _work(environ: Mapping[str, str], platform: Platform) -> None:
    from scheduler.dispatch.queue_names import poison_queue_name, run_queue_name_from
    from scheduler.hosts.functions import host

    async def work(message: QueueMessage) -> None:
        await host.perform_batch(_body(message), message.dequeue_count or 1, None, message.inserted_on)

    async def bury(message: QueueMessage) -> None:
        await host.dead_letter_poison(_body(message), message.inserted_on)

    async with AsyncExitStack() as stack:
        name = run_queue_name_from(environ)
        queue, poison = [
            await stack.enter_async_context(await _queue(environ, each)) for each in (name, poison_queue_name(name))
        ]
        print("listening", flush=True)
        burying = replace(platform, hidden=platform.hidden_poison or platform.hidden)
        await asyncio.gather(Listener(queue, work, platform, poison).run(), Listener(poison, bury, burying).run())


async def _queue(environ: Mapping[str, str], name: str) -> QueueClient:
    """The client; the queue is made if it is missing. Content stays in base64, as the host's queues hold it."""
    client = QueueClient.from_connection_string(environ["AzureWebJobsStorage"], name)
    with suppress(ResourceExistsError):
        await client.create_queue()
    return client


def _body(message: QueueMessage) -> bytes:
    return base64.b64decode(message.content)


async def _tick(platform: Platform) -> None:
    from scheduler.hosts.functions import host

    print("ticking", flush=True)
    while True:
        await asyncio.sleep(platform.tick - time.time() % platform.tick)
        try:
            await host.tick()
        except Exception as error:
            _log.warning("a tick failed: %r", error)


def _shorten(constants: Mapping[str, float]) -> None:
    """Raises AttributeError for a constant that there is not (any more)."""
    for name, seconds in constants.items():
        module_name, _, constant = name.rpartition(".")
        module = importlib.import_module(module_name)
        is_span = isinstance(getattr(module, constant), timedelta)
        setattr(module, constant, timedelta(seconds=seconds) if is_span else seconds)


def prepare() -> Platform:
    """What the environment defines for the platform, and the program's constants set accordingly."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(name)s %(message)s")
    platform = Platform(**json.loads(os.environ.get(VARIABLE, "{}")))
    _shorten(platform.shortened)
    return platform


def be(kind: str) -> None:
    """A process of this kind, until it is killed."""
    platform = prepare()
    asyncio.run(_tick(platform) if kind == "ticker" else _work(os.environ, platform))


if __name__ == "__main__":
    be(sys.argv[1])
