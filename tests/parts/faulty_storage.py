"""A line to Azurite that fails as Azure Storage does: throttling, slow, half and lost answers, no server.

    async with FaultyStorage(azurite) as storage:
        storage.connection_string           # what the program under test gets
        storage.fault = throttling(0.5)     # for each request from now on; `healthy` ends it
        storage.counts                      # what became of the requests, by Fault

Tables and queues alike. A fault is chosen per request by a seeded generator. Azure's own answers to load (503
ServerBusy, 429, 500 OperationTimedOut) follow the REST documentation's "Table service error codes".
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

from tests.parts.azurite import Azurite
from tests.parts.http_server import Answer, StreamServer, read_request, reset


class Fault(StrEnum):
    NONE = "none"
    REFUSED = "refused"
    """The connection is reset before the request is made."""
    BUSY = "busy"
    """503 ServerBusy; the request is not made."""
    THROTTLED = "throttled"
    """429 with Retry-After; the request is not made."""
    TIMED_OUT = "timed out"
    """500 OperationTimedOut; the request is made."""
    SLOW = "slow"
    """The answer comes some seconds later."""
    HALF = "half"
    """The request is made; half of the answer arrives, then the connection is reset."""
    LOST = "lost"
    """The request is made; the connection is reset instead of an answer."""


Choose = Callable[[random.Random], Fault]
SLOW_S = (0.5, 3.0)
"""Seconds that a slow answer takes: less than the clients wait for it."""


def healthy(_: random.Random) -> Fault:
    """Pass everything on."""
    return Fault.NONE


def unavailable(_: random.Random) -> Fault:
    """Reset every connection."""
    return Fault.REFUSED


def some(share: float, *faults: Fault) -> Choose:
    """Let one of these faults happen to so large a share of the requests."""
    return lambda luck: luck.choice(faults) if luck.random() < share else Fault.NONE


class FaultyStorage:
    def __init__(self, azurite: Azurite, seed: int = 1) -> None:
        self.fault: Choose = healthy
        self.counts: Counter[Fault] = Counter()
        self._azurite = azurite
        self._luck = random.Random(seed)
        self._stack = AsyncExitStack()

    @property
    def connection_string(self) -> str:
        account = self._azurite.account
        return (
            f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={self._azurite.key};"
            f"TableEndpoint={self._tables.url}/{account};QueueEndpoint={self._queues.url}/{account};"
            f"BlobEndpoint={self._azurite.blob_url};"
        )

    def choose(self) -> Fault:
        """What becomes of the next request."""
        fault = self.fault(self._luck)
        self.counts[fault] += 1
        return fault

    def slowness(self) -> float:
        """Seconds that a slow answer takes."""
        return self._luck.uniform(*SLOW_S)

    async def __aenter__(self) -> Self:
        self._tables, self._queues = [
            await self._stack.enter_async_context(_Service(self, urlsplit(url).port or 0))
            for url in (self._azurite.table_url, self._azurite.queue_url)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


class _Service(StreamServer):
    def __init__(self, storage: FaultyStorage, upstream_port: int) -> None:
        super().__init__()
        self._storage = storage
        self._upstream_port = upstream_port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        answers, sink = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        try:
            while (request := await read_request(reader, connection)) is not None:
                fault = self._storage.choose()
                if fault is Fault.REFUSED:
                    return reset(writer)
                if fault in (Fault.BUSY, Fault.THROTTLED):
                    writer.write(_refusal(fault))
                    continue
                head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
                head = head.replace("transfer-encoding: chunked\r\n", f"content-length: {len(request.body)}\r\n")
                sink.write(f"{request.method} {request.target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + request.body)
                answer = await _whole_answer(answers, request.method)
                if fault is Fault.LOST:
                    return reset(writer)
                if fault is Fault.HALF:
                    writer.write(answer[: len(answer) // 2])
                    await writer.drain()
                    return reset(writer)
                if fault is Fault.SLOW:
                    await asyncio.sleep(self._storage.slowness())
                writer.write(_refusal(fault) if fault is Fault.TIMED_OUT else answer)
                await writer.drain()
        finally:
            sink.close()


_REFUSALS = {
    Fault.BUSY: (503, "ServerBusy", {}),
    Fault.THROTTLED: (429, "TooManyRequests", {"retry-after": "1"}),
    Fault.TIMED_OUT: (500, "OperationTimedOut", {}),
}


def _refusal(fault: Fault) -> bytes:
    status, code, headers = _REFUSALS[fault]
    body = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": code}}}
    typed = {"content-type": "application/json;odata=minimalmetadata", "x-ms-error-code": code, **headers}
    return Answer(status, typed, json.dumps(body).encode()).encode("GET")


async def _whole_answer(reader: asyncio.StreamReader, method: str) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    if method == "HEAD" or lines[0].split(" ")[1] in ("204", "304"):
        return head
    if headers.get("transfer-encoding") != "chunked":
        return head + await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while True:
        line = await reader.readline()
        chunk = await reader.readexactly(int(line.split(b";")[0], 16) + 2)
        body += line + chunk
        if line.strip() == b"0":
            return head + body
