"""HTTP/2 over a connection of ours, by httpcore. Called by transport.py, for targets that ask for it.

httpcore speaks HTTP/2 over whatever stream it is given: name, TCP, TLS, phases and their errors stay network.py's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import h2.events
import httpcore
import httpx

from jobs.checks.clock import PhaseClock
from jobs.checks.http1 import LARGEST_HEAD, AnswerCutOff, BrokenHttp2
from jobs.checks.network import Connection

_STATUS = re.compile(rb"[2-9][0-9]{2}")
"""Of an answer that is not informational."""

_FRAME_HEAD, _SETTINGS = 9, 4
"""Bytes, and the type of the frame that comes first: RFC 9113, sections 3.4 and 4.1."""

_BITE = 8 * 1024
"""Bytes that are looked at in one go."""


class _Stream(httpcore.AsyncNetworkStream):
    """A connection as httpcore wants it. Time-outs are the runner's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rest = b""
        self.besides = 0
        """Bytes that came since there was something of the answer."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        if self._rest:
            await asyncio.sleep(0)  # a thousand frames take their time: others have their turn between
        data = self._rest or await self._connection.read()
        first = self._connection.first
        if first.startswith(b"HTTP/"):
            raise BrokenHttp2("speaks HTTP/1.1, not HTTP/2: leave http2 out, or write https if it speaks both there")
        if len(first) >= _FRAME_HEAD and first[3] != _SETTINGS:
            raise BrokenHttp2("answered with something that is not HTTP/2: look at the port")
        if not data:
            raise AnswerCutOff
        data, self._rest = data[:_BITE], data[_BITE:]
        self.besides += len(data)
        if self.besides > LARGEST_HEAD:
            raise BrokenHttp2("sends frames on end, and nothing of an answer: look at the service")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        await self._connection.write(buffer)

    async def aclose(self) -> None:
        self._connection.finish()

    def get_extra_info(self, info: str) -> Any:
        return None


class _Spoken(httpcore.AsyncHTTP2Connection):
    """httpcore's takes an answer without a status for 200, and stumbles over one that is no number."""

    async def _receive_stream_event(self, request: httpcore.Request, stream_id: int) -> Any:
        event = await super()._receive_stream_event(request, stream_id)
        if isinstance(event, h2.events.ResponseReceived):
            said = [value for name, value in event.headers or () if name == b":status"]
            if len(said) != 1 or _STATUS.fullmatch(said[0]) is None:
                raise BrokenHttp2("answered with something that is not HTTP/2 (illegal status)")
        return event


class Answer(httpx.AsyncByteStream):
    """The answer to one request, whose body it is as a stream; closed early, it breaks the connection off."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stream: _Stream | None = None
        self._response: httpcore.Response | None = None

    async def head(self, request: httpx.Request, clock: PhaseClock) -> httpcore.Response:
        """Send the request; the final answer's head. Raises BrokenHttp2, AnswerCutOff, and whatever reading raises."""
        # Settings come before the answer, and say nothing about how long it takes.
        self._connection.marks = False
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        asked = httpcore.Request(request.method, url, headers=request.headers.raw, content=request.content)
        stream = self._stream = _Stream(self._connection)
        spoken = _Spoken(url.origin, stream)
        try:
            self._response = await spoken.handle_async_request(asked)
        except (httpcore.ProtocolError, httpcore.ConnectionNotAvailable):
            raise _broken() from None
        clock.enter("body")
        stream.besides = 0
        return self._response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert self._response is not None
        assert self._stream is not None
        try:
            async for part in self._response.aiter_stream():
                if part:
                    self._stream.besides = 0
                yield part
        except httpcore.ProtocolError:
            raise _broken() from None

    async def aclose(self) -> None:
        self._connection.abort()


def _broken() -> BrokenHttp2:
    return BrokenHttp2("broke the answer off, or the rules of HTTP/2: look at the service, and what stands before it")
