"""The program of the stand-in for Microsoft's base image: it serves the app as the Functions host does.

It indexes the app in Microsoft's worker package, which it finds on PYTHONPATH as the image sets it, answers HTTP on the
port of ASPNETCORE_URLS, calls the timer at its start and at each multiple of STAND_IN_TICK seconds, and hands each
message of a queue to its function, which deletes it if it succeeds. SIGTERM ends it: no new work, then the work in
progress, then the process, without notice to the app. A key is checked as tests.parts.functions_host checks it; the
header x-functions-key sends it.
"""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.parts.functions_host import MASTER_KEY
from tests.parts.functions_worker import FunctionsWorker

if TYPE_CHECKING:
    from azure.storage.queue import QueueMessage
    from azure.storage.queue.aio import QueueClient

STORAGE, SCRIPT_ROOT = "AzureWebJobsStorage", "AzureWebJobsScriptRoot"
TICK = float(os.environ.get("STAND_IN_TICK", "60"))
PAUSE = 0.2
"""Seconds between two reads of an empty queue."""
HIDDEN = 60
"""Seconds for which a message in work is hidden."""
DRAIN = 20.0
"""Seconds that work in progress gets at the end."""
REPLY = 60.0


async def serve(folder: Path, port: int) -> None:
    async with FunctionsWorker(folder) as worker:
        if problems := worker.problems():
            sys.exit("\n".join(problems))
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        server = ThreadingHTTPServer(("0.0.0.0", port), make_handler(worker, loop))
        Thread(target=server.serve_forever, daemon=True).start()
        queues = [name for name, each in worker.functions.items() if each.trigger["type"] == "queueTrigger"]
        work = [asyncio.create_task(listen(worker, name, ended)) for name in queues]
        work.append(asyncio.create_task(tick(worker, ended)))
        print(f"serving {len(worker.functions)} functions on port {port}", flush=True)
        await ended.wait()
        server.shutdown()
        _, late = await asyncio.wait(work, timeout=DRAIN)
        if late:
            sys.exit(f"work did not end within {DRAIN:g} s")
        for each in work:
            each.result()
        print("stopped", flush=True)
        os._exit(0)  # as the platform ends a worker: no code of the app runs


async def tick(worker: FunctionsWorker, ended: asyncio.Event) -> None:
    while not ended.is_set():
        done = await worker.timer("tick")
        if done.failure:
            print(f"a tick failed: {done.failure}", flush=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), TICK - time.time() % TICK)


async def listen(worker: FunctionsWorker, function: str, ended: asyncio.Event) -> None:
    from azure.core.exceptions import ResourceExistsError
    from azure.storage.queue.aio import QueueClient

    name = str(worker.functions[function].trigger["queueName"])
    async with QueueClient.from_connection_string(os.environ[STORAGE], name) as queue:
        with suppress(ResourceExistsError):
            await queue.create_queue()
        running: set[asyncio.Task[None]] = set()
        while not ended.is_set():
            messages = [each async for each in queue.receive_messages(max_messages=16, visibility_timeout=HIDDEN)]
            running |= {asyncio.create_task(handle(worker, function, queue, message)) for message in messages}
            running = {each for each in running if not each.done()}
            if not messages:
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), PAUSE)
        await asyncio.gather(*running)


async def handle(worker: FunctionsWorker, function: str, queue: QueueClient, message: QueueMessage) -> None:
    text = base64.b64decode(message.content).decode()
    done = await worker.queue(function, text, dequeue_count=message.dequeue_count or 1, message_id=message.id)
    if done.failure:
        print(f"{function} failed: {done.failure}", flush=True)
    else:
        await queue.delete_message(message)


def make_handler(worker: FunctionsWorker, loop: asyncio.AbstractEventLoop) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            key = "*" if self.headers.get("x-functions-key") == MASTER_KEY else None
            call = worker.http(self.command, self.path, key=key, headers=dict(self.headers), body=body)
            reply = asyncio.run_coroutine_threadsafe(call, loop).result(REPLY)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                if name not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

        def log_message(self, *_: object) -> None:
            """Print no access log."""

    return Handler


if __name__ == "__main__":
    asyncio.run(serve(Path(os.environ[SCRIPT_ROOT]), urlsplit(os.environ["ASPNETCORE_URLS"]).port or 80))
