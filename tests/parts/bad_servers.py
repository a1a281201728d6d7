"""Servers on loopback that misbehave, each in one way. All are used alike:

    async with dripping_body() as server:
        ... server.url ...
        server.connections      # accepted so far
        server.requests         # those that were read whole (see http_server.Request)

Slow: dripping_body, dripping_headers, black_hole (accepts, never answers; tls=True: never shakes hands),
never_accepting (the connection itself is never made).
Broken off: refused_port, reset_on_connect, reset_after_request, reset_in_body, disconnect (closes without answer),
half_close (closes its sending side only, without answer), closes_idle (answers, then closes a connection it promised
to keep), truncated_body, truncated_chunks.
Not HTTP: garbage, wrong_chunking, broken_gzip, plain_behind_https (an https URL that speaks plain HTTP).
Too much: endless_body, endless_headers, gzip_bomb, redirect_loop.
In the middle: part_then (some bytes, then: closes, closes its half, resets, stays silent), closes_at_accept.
Heedless of the request: turns_away (answers before it was read), never_reads (reads nothing of it).
Without end: endless_continue, endless_events, endless_chunk_extension.
Mail: mail_server(greeting, reply, endless), whose replies are these bytes.
Any bytes: answering(data), for those of bad_answers; `max_concurrent_turns` sends them before any request.
Not now: unavailable (503 with Retry-After in seconds or as a date, `times` times, then 200).

Slow ones wait `interval` seconds between bytes; none ends by itself before its client goes.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Awaitable, Callable
from datetime import datetime
from email.utils import format_datetime
from typing import Literal, Self, cast

from tests.parts.http_server import Answer, HttpServer, Request, StreamServer, read_request, reset

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK_HEAD = b"HTTP/1.1 200 OK\r\n"


class BadServer(StreamServer):
    """Runs one behaviour for each connection, once a whole request was read by default."""

    def __init__(self, behave: Behaviour, *, after_request: bool = True, scheme: str = "http") -> None:
        super().__init__(scheme=scheme)
        self._behave = behave
        self._after_request = after_request

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        if self._after_request:
            request = await read_request(reader, connection)
            if request is None:
                return
            self.requests.append(request)
        await self._behave(reader, writer)


class ReservedPort:
    """A port that is bound, so that no other program gets it, and either refuses or never accepts."""

    def __init__(self, *, listening: bool) -> None:
        self.connections = 0
        self.requests: list[Request] = []
        self.port = 0
        self._listening = listening
        self._sockets: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        bound = socket.socket()
        self._sockets.append(bound)
        bound.bind(("127.0.0.1", 0))
        self.port = bound.getsockname()[1]
        if self._listening:
            bound.listen(0)
            self._fill_backlog()
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._sockets:
            each.close()

    def _fill_backlog(self) -> None:
        """The kernel drops every SYN that finds the queue of a listener full."""
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._sockets.append(filler)


async def _drip(writer: asyncio.StreamWriter, piece: bytes, interval: float) -> None:
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(interval)


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()


def _sends(data: bytes) -> Behaviour:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return behave


def dripping_body(interval: float = 0.02) -> BadServer:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK_HEAD + b"Content-Length: 1000000\r\n\r\n")
        await _drip(writer, b"x", interval)

    return BadServer(behave)


def dripping_headers(interval: float = 0.02) -> BadServer:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK_HEAD + b"X-Slow: ")
        await _drip(writer, b"x", interval)

    return BadServer(behave)


def black_hole(*, tls: bool = False) -> BadServer:
    async def behave(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await _forever()

    return BadServer(behave, after_request=False, scheme="https" if tls else "http")


def never_accepting() -> ReservedPort:
    return ReservedPort(listening=True)


def refused_port() -> ReservedPort:
    return ReservedPort(listening=False)


async def _reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset(writer)


def reset_on_connect() -> BadServer:
    return BadServer(_reset, after_request=False)


def reset_after_request() -> BadServer:
    return BadServer(_reset)


def reset_in_body() -> BadServer:
    """The head and ten bytes of a hundred, then the reset once the client had time to read them."""

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK_HEAD + b"Content-Length: 100\r\n\r\n" + b"x" * 10)
        await writer.drain()
        await asyncio.sleep(0.05)  # a reset discards what the client has not read yet
        reset(writer)

    return BadServer(behave)


def disconnect() -> BadServer:
    return BadServer(_sends(b""))


def half_close() -> BadServer:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        await _forever()

    return BadServer(behave)


def closes_idle() -> BadServer:
    return BadServer(_sends(OK_HEAD + b"Content-Length: 2\r\nConnection: keep-alive\r\n\r\nok"))


def truncated_body() -> BadServer:
    return BadServer(_sends(OK_HEAD + b"Content-Length: 100\r\n\r\n" + b"x" * 10))


def truncated_chunks() -> BadServer:
    return BadServer(_sends(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\n" + b"x" * 10))


def garbage() -> BadServer:
    return BadServer(_sends(b"\x00\x01SSH-2.0-nothing like HTTP\r\n\r\n"))


def wrong_chunking() -> BadServer:
    return BadServer(_sends(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nNOT-HEX\r\nabc\r\n0\r\n\r\n"))


def broken_gzip() -> BadServer:
    return BadServer(_sends(OK_HEAD + b"Content-Encoding: gzip\r\nContent-Length: 12\r\n\r\nnot gzipped!"))


def plain_behind_https() -> BadServer:
    return BadServer(
        _sends(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), after_request=False, scheme="https"
    )


def endless_body() -> BadServer:
    """64 KiB a chunk, as fast as they are read."""

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        await _drip(writer, b"10000\r\n" + b"x" * 0x10000 + b"\r\n", 0)

    return BadServer(behave)


def endless_headers() -> BadServer:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK_HEAD)
        await _drip(writer, b"X-More: " + b"x" * 1000 + b"\r\n", 0)

    return BadServer(behave)


def gzip_bomb(size: int = 50_000_000) -> BadServer:
    """A body of `size` zeros that travels as a thousandth of it."""
    body = gzip.compress(bytes(size), 9)
    return BadServer(_sends(OK_HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body))


def answering(data: bytes, *, at_once: bool = False, tls: bool = False) -> BadServer:
    """These bytes, then the end of the connection. `tls`: its URL has the scheme https, the bytes go out plain."""
    return BadServer(_sends(data), after_request=not at_once, scheme="https" if tls else "http")


Then = Literal["close", "half_close", "reset", "silence"]


def part_then(data: bytes, then: Then, *, at_once: bool = False, tls: bool = False) -> BadServer:
    """These bytes once a request was read, and when the client had time to read them, this."""

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0.05)  # a reset discards what the client has not read yet
        if then == "reset":
            reset(writer)
        elif then == "half_close":
            writer.write_eof()
        if then in ("half_close", "silence"):
            await _forever()

    return BadServer(behave, after_request=not at_once, scheme="https" if tls else "http")


def closes_at_accept() -> BadServer:
    return BadServer(_sends(b""), after_request=False)


def turns_away() -> BadServer:
    """413 as soon as the head of a request has arrived; the body is never read."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await _forever()

    return BadServer(behave, after_request=False)


def never_reads() -> BadServer:
    """Accepts, and leaves what is sent where it is, until the sender can send no more."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cast(asyncio.ReadTransport, writer.transport).pause_reading()
        await _forever()

    return BadServer(behave, after_request=False)


def endless(first: bytes, piece: bytes, interval: float = 0.0) -> BadServer:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await _drip(writer, piece, interval)

    return BadServer(behave)


def endless_continue(status: str = "100 Continue") -> BadServer:
    """Promise an endless answer, as fast as the client reads it."""
    return endless(b"", f"HTTP/1.1 {status}\r\n\r\n".encode() * 500)


def endless_zeros() -> BadServer:
    return endless(b"", bytes(256 * 1024))


def endless_frames(first: bytes, frame: bytes) -> BadServer:
    """Of HTTP/2."""
    return endless(first, frame * (64 * 1024 // len(frame)))


def endless_events() -> BadServer:
    """A stream of events, as dashboards keep open."""
    head = OK_HEAD + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return endless(head, b"d\r\ndata: ready\n\n\r\n", 0.02)


def endless_chunk_extension() -> BadServer:
    return endless(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;", b"x" * 0x10000)


def mail_server(greeting: bytes, reply: bytes = b"", endless: bytes = b"") -> BadServer:
    """Send the greeting, and the reply to each command. `endless`: follows again and again, after the first reply if
    there is one.
    """

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        while reply and await reader.readline():
            writer.write(reply)
            await writer.drain()
            if endless:
                break
        if endless:
            await _drip(writer, endless * (64 * 1024 // len(endless)), 0)

    return BadServer(behave, after_request=False)


class _Redirecting(HttpServer):
    def answer(self, request: Request) -> Answer:
        hop = int(request.query.get("hop", "0")) + 1
        return Answer(302, {"location": f"{self.url}/?hop={hop}"})


def redirect_loop() -> HttpServer:
    """Every answer leads to a next one that is a little different, so that no client sees the circle."""
    return _Redirecting()


class _Unavailable(HttpServer):
    def __init__(self, retry_after: str, times: int | None) -> None:
        super().__init__()
        self._retry_after = retry_after
        self._times = times

    def answer(self, request: Request) -> Answer:
        if self._times is not None and len(self.requests) > self._times:
            return Answer(200)
        return Answer(503, {"retry-after": self._retry_after})


def unavailable(retry_after: int | datetime = 1, times: int | None = None) -> HttpServer:
    """503 with Retry-After: seconds, or an aware UTC datetime sent as an HTTP-date. `times`: None is without limit."""
    text = str(retry_after) if isinstance(retry_after, int) else format_datetime(retry_after, usegmt=True)
    return _Unavailable(text, times)
