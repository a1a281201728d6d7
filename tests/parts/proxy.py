"""A forward proxy on loopback: CONNECT, and plain http by the whole URL. It alone resolves names below `.invalid`, to
loopback: no other program on this machine does (see network_guard).

async with Proxy() as proxy:            # or Proxy(answer=407): refuses every tunnel so
    proxy.url, proxy.requests           # heads that came, as text

Proxy(credentials="user:password")      # answers 407 to all others
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from urllib.parse import urlsplit

from tests.parts.http_server import StreamServer


class Proxy(StreamServer):
    def __init__(self, *, answer: int = 200, credentials: str = "") -> None:
        super().__init__()
        self._proof = f"proxy-authorization: basic {b64encode(credentials.encode()).decode()}".lower()
        self._is_open = not credentials
        self.requests: list[str] = []
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head.decode("latin-1"))
        method, target, _ = head.decode("latin-1").split(" ", 2)
        if not self._is_open and self._proof not in head.decode("latin-1").lower():
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        if self._answer != 200:
            writer.write(f"HTTP/1.1 {self._answer} No\r\nContent-Length: 0\r\n\r\n".encode())
            return
        place = urlsplit(target if method != "CONNECT" else f"//{target}")
        upstream, sink = await asyncio.open_connection(_resolve(place.hostname or ""), place.port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        else:
            sink.write(head.replace(target.encode(), place.path.encode() or b"/", 1))
        both = [asyncio.ensure_future(_pass_on(reader, sink)), asyncio.ensure_future(_pass_on(upstream, writer))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in both:
                each.cancel()
            sink.close()


def _resolve(host: str) -> str:
    return "127.0.0.1" if host.endswith(".invalid") else host


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
