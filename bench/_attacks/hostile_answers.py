"""Ten jobs that say nothing but a URL, whose target makes its answers as costly as it can."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from bench._attacks.harness import Attack, Scene, serving
from bench._parts import get_json

JOBS = 10

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
_OK_PERSISTENT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_HINTS = (b"HTTP/1.1 103 Early Hints\r\n" + b"a:\r\n" * 24_000 + b"\r\n") * 20
_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + b"1\r\n \r\n" * 1_000_000
_LAST_CHUNK = b"0\r\n\r\n"


class _Answers(Attack):
    """The common part of these attacks. The run names the target's fault, and the program continues."""

    check: Mapping[str, Any] = {}
    errors: frozenset[str] = frozenset({"protocol_error"})

    def jobs(self, url: str) -> Mapping[str, Any]:
        """Return ten jobs, each with its own path."""
        job = {"schedule": {"every": "1s"}, "retry": {"attempts": 1}}
        return {
            f"hostile-{number}": {**job, "check": {"url": f"{url}/{number}", **self.check}} for number in range(JOBS)
        }

    def problems(self, scene: Scene) -> Iterator[str]:
        """Yield the runs of these jobs that ended otherwise."""
        runs = get_json(f"{scene.scheduler.url}/api/runs?job=hostile-0&limit=20")["runs"]
        errors = {run["error"] for run in runs} - {None}
        if not runs or errors - self.errors:
            yield f"the attacker's runs ended with {', '.join(sorted(errors)) or 'nothing'}"


class ManyHeaders(_Answers):
    """Ten jobs get 20 informational answers of 24,000 header lines each before their answer."""

    name = "many-headers"

    def server(self) -> AbstractContextManager[str]:
        """Serve them."""
        return serving(_many_headers)


class ManyHeadersOnPersistentConnections(ManyHeaders):
    """The same over persistent connections."""

    name = "many-headers-kept"
    check = {"connection": "kept"}


class ManyCookies(_Answers):
    """Ten jobs are redirected in a circle, with 80 or with 900 cookies in each answer."""

    name = "many-cookies"
    errors = frozenset({"too_many_redirects", "protocol_error"})

    def server(self) -> AbstractContextManager[str]:
        """Serve them."""
        return serving(_many_cookies)


class TinyChunks(_Answers):
    """Ten jobs get 1 MiB in chunks of one byte."""

    name = "tiny-chunks"

    def server(self) -> AbstractContextManager[str]:
        """Serve them."""
        return serving(_tiny_chunks)


class Http2Heads(_Answers):
    """Ten jobs get 1,000 informational heads, headers of 1,400 lines, or 20,000 frames of one byte, by HTTP/2."""

    name = "http2-heads"
    check = {"http2": True}

    def server(self) -> AbstractContextManager[str]:
        """Serve them."""
        return serving(_http2_heads)


async def _many_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while head := await reader.readuntil(b"\r\n\r\n"):
        closes = b"connection: close" in head.lower()
        writer.write(_HINTS + (_OK if closes else _OK_PERSISTENT))
        await writer.drain()
        if closes:
            return


async def _many_cookies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    count = 900 if head[5:6] in b"02468" else 80
    cookies = b"".join(b"Set-Cookie: c%d=1; Path=/\r\n" % number for number in range(count))
    writer.write(
        b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n" % head.split(b" ")[1]
        + cookies
        + b"\r\n"
    )
    await writer.drain()


async def _tiny_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(_CHUNKS + _LAST_CHUNK)
    await writer.drain()


async def _http2_heads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"SM\r\n\r\n")
    await reader.read(65536)
    global _connections
    _connections += 1
    writer.write(_BY_HTTP_2[_connections % len(_BY_HTTP_2)])
    await writer.drain()
    await reader.read(65536)


_connections = 0


def _frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 1) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _by_http_2(frames: Iterable[bytes]) -> bytes:
    """The server's settings, these frames, and a good answer."""
    return b"".join((_frame(4, stream=0), *frames, _frame(1, b"\x88", 4), _frame(0, b"ok", 1)))


_HINT = b"\x08\x03103"
"""`:status: 103`, as HPACK writes it."""
_FIELD = b"\x90"
"""`accept-encoding: gzip, deflate`, by its number in HPACK's table."""

_BY_HTTP_2 = (
    _by_http_2([_frame(1, _HINT, 4)] * 1000),
    _by_http_2([_frame(1, _HINT + _FIELD * 900, 4)] * 20),
    _by_http_2([_frame(1, b"\x88" + _FIELD * 1050, 4), _frame(0, b"x")]),
    _by_http_2([_frame(1, b"\x88", 4), *([_frame(0, b"x")] * 20_000)]),
)

ATTACKS = (ManyHeaders(), ManyHeadersOnPersistentConnections(), ManyCookies(), TinyChunks(), Http2Heads())
