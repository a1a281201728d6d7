"""A small HTTP/1.1 server on loopback, below http_target, bad_servers and ingestion. It answers through a handler.

    class Echo(HttpServer):
        def answer(self, request: Request) -> Answer:
            return Answer(body=request.body)

    async with Echo() as server:            # Echo(tls="good", keep_alive=False, host="::1")
        server.url, server.port, server.ca_file
        server.requests                     # every Request, in order of arrival
        server.connections                  # accepted so far
        server.open_connections             # open now
        server.max_in_flight                # most requests that were in work at once
        await server.wait_for_requests(3)   # until three have arrived; TimeoutError after 5 s

StreamServer is the layer below: connections, without HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, unquote

from tests.parts.tls import TlsKind, ca_file, server_context

_BODILESS = frozenset({204, 304})

_ENDINGS = (ConnectionError, TimeoutError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError)
"""What ends a connection without anything to report: the client went, or the test is over."""
_ROUNDS_OF_ACCEPT = 8
"""More turns of the event loop than asyncio needs from an accepted connection to its task. A server that is closed in
between leaves the connection open."""


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    method: str
    target: str
    """As sent: path and query, undecoded."""
    headers: Mapping[str, str]
    """Names in lower case; of a repeated header the last."""
    body: bytes
    at: float
    """time.monotonic() when its headers were complete."""
    connection: int
    """Which connection carried it, counted from 1."""

    @property
    def path(self) -> str:
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> dict[str, str]:
        """Decoded; of a repeated name the last."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What to send back.

    `delay`: seconds before it. `gate`: it also waits for this event. `framing`: how the body's end is marked. `close`:
    the connection ends after it. `reset`: no answer, the connection is reset.
    """

    status: int = 200
    headers: Mapping[str, str | list[str]] = field(default_factory=dict)
    """Of a list each value is a separate header line."""
    body: bytes = b""
    delay: float = 0.0
    gate: asyncio.Event | None = None
    framing: Literal["length", "chunked", "eof"] = "length"
    close: bool = False
    reset: bool = False

    @classmethod
    def of_json(cls, value: object, status: int = 200, **headers: str) -> Answer:
        """`value` as a JSON body; a header's underscores become dashes."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, {"content-type": "application/json", **named}, json.dumps(value).encode())

    def encode(self, method: str) -> bytes:
        """The bytes on the wire, for an answer to this method."""
        try:
            reason = HTTPStatus(self.status).phrase
        except ValueError:
            reason = ""
        headers = dict(self.headers)
        body = self.body
        if self.framing == "chunked":
            headers["transfer-encoding"] = "chunked"
            body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        elif self.framing == "length" and self.status not in _BODILESS:
            headers["content-length"] = str(len(body))
        if self.ends_connection:
            headers["connection"] = "close"
        head = "".join(
            f"{name}: {value}\r\n"
            for name, values in headers.items()
            for value in ([values] if isinstance(values, str) else values)
        )
        without_body = method == "HEAD" or self.status in _BODILESS
        return f"HTTP/1.1 {self.status} {reason}\r\n{head}\r\n".encode("latin-1") + (b"" if without_body else body)

    @property
    def ends_connection(self) -> bool:
        return self.close or self.framing == "eof"


class StreamServer(ABC):
    """Accepts connections on loopback and cuts them off when the test is over; subclasses define the answers."""

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, scheme: str = "http", context: ssl.SSLContext | None = None
    ) -> None:
        self.connections = 0
        self.requests: list[Request] = []
        self.port = port
        self._host = host
        self._scheme = scheme
        self._context = context
        self._tasks: set[asyncio.Task[Any]] = set()

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        """Have one connection, the `connection`th; it is closed afterwards."""

    @property
    def url(self) -> str:
        """Without a slash at its end: `http://127.0.0.1:PORT`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{self._scheme}://{host}:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self._tasks)

    def close_connections(self) -> None:
        """Those that are open; new ones are accepted all the same."""
        for task in self._tasks:
            task.cancel()

    async def __aenter__(self) -> Self:
        closing = 1.0 if self._context else None
        self._server = await asyncio.start_server(
            self._connection, self._host, self.port, ssl=self._context, ssl_shutdown_timeout=closing, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for _ in range(_ROUNDS_OF_ACCEPT):
            await asyncio.sleep(0)
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            with contextlib.suppress(*_ENDINGS):
                await self.serve(reader, writer, self.connections)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()
            self._tasks.discard(task)


class HttpServer(StreamServer):
    """Speaks HTTP/1.1 properly; subclasses say what to answer."""

    def __init__(
        self,
        *,
        tls: TlsKind | None = None,
        certificate_valid_for: timedelta = timedelta(days=90),
        keep_alive: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        context = None if tls is None else server_context(tls, valid_for=certificate_valid_for)
        super().__init__(host=host, port=port, scheme="http" if tls is None else "https", context=context)
        self.max_in_flight = 0
        self._keep_alive = keep_alive
        self._in_flight = 0
        self._arrived = asyncio.Event()

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """What to send back for a request."""

    @property
    def ca_file(self) -> str:
        """PEM file with the authority that signed the good certificates."""
        return ca_file()

    async def wait_for_requests(self, count: int, timeout: float = 60.0) -> None:  # noqa: ASYNC109 - a test's bound
        """Until `count` requests have arrived in all."""
        async with asyncio.timeout(timeout):
            while len(self.requests) < count:
                self._arrived.clear()
                await self._arrived.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        while (request := await read_request(reader, connection)) is not None:
            answer = await self._answer(request)
            if answer.reset:
                reset(writer)
                return
            writer.write(answer.encode(request.method))
            await writer.drain()
            last = not self._keep_alive or request.headers.get("connection", "").lower() == "close"
            if last or answer.ends_connection:
                return

    async def _answer(self, request: Request) -> Answer:
        self.requests.append(request)
        self._arrived.set()
        self._in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self._in_flight)
        try:
            answer = self.answer(request)
            if answer.delay:
                await asyncio.sleep(answer.delay)
            if answer.gate is not None:
                await answer.gate.wait()
        finally:
            self._in_flight -= 1
        return answer


async def read_request(reader: asyncio.StreamReader, connection: int = 1) -> Request | None:
    """The next request on a connection, or None when the client has closed it. Raises IncompleteReadError."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    at = time.monotonic()
    line, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = line.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(method, target, headers, await _read_body(reader, headers), at, connection)


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a RST instead of a FIN."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
