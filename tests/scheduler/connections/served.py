"""An ASGI app behind BoundedProtocol on loopback, with a clock that tests move.

async with served(app, most=2) as server:
    client = await server.connect()
    await client.send(b"GET / HTTP/1.1\r\nhost: x\r\n")
    await server.received()                     # until the server has read what was sent
    server.pass_time(10)                        # and look at all connections
    assert b"408" in await client.rest()        # until the server closes
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import Receive, Scope, Send

from scheduler.connections.protocol import BoundedProtocol
from scheduler.connections.register import ConnectionRegister

PATIENCE = 60.0
"""Seconds after which a test gives up; nothing is measured by it."""


class App:
    """Answers with the body it got. /hold waits for `release`, /early answers without reading, /large is large."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.began = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.ended: list[str] = []
        self.large = b"x" * 12_000_000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began += 1
        self.headers = scope["headers"]
        body = b""
        if scope["path"] != "/early":
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.ended.append("gone")
                    return
                body, more = body + message["body"], message["more_body"]
        if scope["path"] == "/hold":
            await self.release.wait()
        answer = self.large if scope["path"] == "/large" else b"got %d" % len(body)
        headers = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
        self.ended.append("answered")


class Client:
    """One connection, whose small receive buffer makes the server wait for it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> bytes:
        """The head and body of one answer with a length."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            (length,) = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            return head + await self.reader.readexactly(int(length.split(b":")[1]))

    async def rest(self) -> bytes:
        """Everything until the server closes; what a reset lets through."""
        found = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while data := await self.reader.read(65_536):
                    found += data
            except ConnectionError:
                pass
        return found


class Server:
    def __init__(self, app: App, register: ConnectionRegister, port: int) -> None:
        self.app, self.register, self.port = app, register, port
        self.now = 0.0
        self._clients: list[Client] = []

    async def connect(self, address: str = "127.0.0.1") -> Client:
        known = len(self.register)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        sock.bind((address, 0))
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        client = Client(*await asyncio.open_connection(sock=sock, limit=4096))
        self._clients.append(client)
        if known < self.register.max_connections:
            await self.until(lambda: len(self.register) > known)
        return client

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.register.check_all()

    @property
    def connections(self) -> list[BoundedProtocol]:
        return cast(list[BoundedProtocol], list(self.register._open))

    async def received(self) -> None:
        """Until the server has read something of an incomplete request on each of its connections."""
        await self.until(lambda: all(each._in_head or each._in_body for each in self.connections))

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.001)

    async def close(self) -> None:
        for client in self._clients:
            client.writer.transport.abort()


@asynccontextmanager
async def served(app: App | None = None, *, most: int = 100) -> AsyncIterator[Server]:
    app = app or App()
    now = [0.0]
    register = ConnectionRegister(most, clock=lambda: now[0])
    protocol = partial(BoundedProtocol, register=register)
    config = uvicorn.Config(cast(Any, app), http=cast(Any, protocol), ws="none", lifespan="off", log_config=None)
    config.load()
    state = uvicorn.server.ServerState()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: protocol(config=config, server_state=state, app_state={}, _loop=loop), "127.0.0.1", 0
    )
    server = Server(app, register, listening.sockets[0].getsockname()[1])
    register.clock = lambda: server.now
    try:
        yield server
    finally:
        await server.close()
        app.release.set()
        listening.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await server.until(lambda: not state.connections and not state.tasks)
