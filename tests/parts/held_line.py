"""A line to an HTTP service on loopback that counts requests and holds answers back.

async with HeldLine(port) as line:
    line.port                       # clients connect here
    line.requests                   # "POST /account/$batch", in the order in which they came
    line.hold("POST", 1)            # no client gets the answer of the next POST; the service makes the request
"""

from __future__ import annotations

import asyncio
import re

from tests.parts.http_server import StreamServer

_HEAD = re.compile(rb"^([A-Z]+) (/\S*) HTTP/1\.1\r\n", re.MULTILINE)
"""Not the requests within a multipart body: those have whole addresses."""


class HeldLine(StreamServer):
    def __init__(self, upstream_port: int) -> None:
        super().__init__()
        self.requests: list[str] = []
        self._upstream_port = upstream_port
        self._held: list[str] = []

    def hold(self, method: str, number: int) -> None:
        """Hold back the answers of so many requests of this method, from the next one on."""
        self._held = [method] * number

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        answers, sink = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        passing = asyncio.ensure_future(_pass_on(answers, writer))
        try:
            while data := await reader.read(65536):
                for method, target in _HEAD.findall(data):
                    self.requests.append(f"{method.decode()} {target.decode()}")
                    if self._held and self._held[0] == method.decode():
                        self._held.pop()
                        passing.cancel()
                sink.write(data)
                await sink.drain()
        finally:
            passing.cancel()
            sink.close()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
