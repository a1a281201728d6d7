"""HTTP/2 over one of our connections, by httpcore. Called by transport.py, for targets that enable it.

httpcore runs on any stream; network.py keeps resolving, TCP, TLS, phases and their errors.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import h2.events
import h2.exceptions
import httpcore
import httpx
from hpack.hpack import DEFAULT_MAX_HEADER_LIST_SIZE

from jobs.checks.clock import PhaseClock
from jobs.checks.errors import IncompleteResponse, MalformedHttp2, TooManyHeaderLines, TooManyInterimResponses
from jobs.checks.http_transport.messages import (
    MAX_HEAD,
    MAX_HEADER_LINES,
    MAX_INTERIM_HEADER_LINES,
    MAX_INTERIM_RESPONSES,
)
from jobs.checks.net.connection import TargetConnection
from jobs.turns import wait_for_turn

_STATUS = re.compile(rb"[2-9][0-9]{2}")
"""Of a response that is not informational."""

_IN_DIGITS = re.compile(rb"[1-9][0-9]{2}")

_FRAME_HEAD, _SETTINGS = 9, 4
"""Bytes, and the type of the first frame: RFC 9113, sections 3.4 and 4.1."""

_WITH_HEADERS = frozenset({1, 5, 9})
"""Types of frames with headers: HEADERS, PUSH_PROMISE, CONTINUATION."""

_STEP_BYTES = 8 * 1024
"""Bytes that are parsed in one step."""

_STEP_FRAMES = 100
"""Frames that are parsed in one step, 25 microseconds each; of frames with headers, one."""

MAX_FRAMES = 500
"""Frames of a response, and one more for each SMALL_FRAME bytes of its content."""

SMALL_FRAME = 1024
"""Bytes."""


class FrameCounter:
    """Counts the frames in the bytes of a connection, and finds where to split the bytes into steps."""

    def __init__(self) -> None:
        self.count = 0
        self._head = b""
        """The received part of a frame's head."""
        self._left = 0
        """Bytes of a frame's payload that are still to come."""

    def split_step(self, data: bytes) -> int:
        """Return how many of these bytes to parse in one step, and count them."""
        at, weight, size = 0, 0, min(len(data), _STEP_BYTES)
        while at < size:
            if self._left:
                step = min(self._left, size - at)
                at, self._left = at + step, self._left - step
                continue
            if weight >= _STEP_FRAMES:
                return at
            step = min(_FRAME_HEAD - len(self._head), size - at)
            self._head += data[at : at + step]
            at += step
            if len(self._head) == _FRAME_HEAD:
                weight += _STEP_FRAMES if self._head[3] in _WITH_HEADERS else 1
                self._left, self._head = int.from_bytes(self._head[:3], "big"), b""
                self.count += 1
        return at


class _ConnectionStream(httpcore.AsyncNetworkStream):
    """A connection as httpcore's stream. The runner enforces timeouts."""

    def __init__(self, connection: TargetConnection) -> None:
        self._connection = connection
        self._rest = b""
        self.overhead_bytes = 0
        """Bytes since the last progress of the response."""
        self.content_bytes = 0
        """Bytes of the content so far."""
        self._frames = FrameCounter()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        if self._rest:
            await wait_for_turn()  # other tasks run between steps: a thousand frames take long
        data = self._rest or await self._connection.read()
        first = self._connection.first_bytes
        if first.startswith(b"HTTP/"):
            raise MalformedHttp2("speaks HTTP/1.1, not HTTP/2: remove http2, or write https if it speaks both there")
        if len(first) >= _FRAME_HEAD and first[3] != _SETTINGS:
            raise MalformedHttp2("answered with something that is not HTTP/2: check the port")
        if not data:
            raise IncompleteResponse
        end = self._frames.split_step(data)
        data, self._rest = data[:end], data[end:]
        self.overhead_bytes += len(data)
        is_flooded = self._frames.count > MAX_FRAMES + self.content_bytes // SMALL_FRAME
        if self.overhead_bytes > MAX_HEAD or (is_flooded and not self.content_bytes):
            raise MalformedHttp2("sends frames without any part of a response: check the service")
        if is_flooded:
            raise MalformedHttp2(
                f"sent more than {MAX_FRAMES:,} frames with less than {SMALL_FRAME} bytes of its response in each on "
                "average: have the service buffer what it writes"
            )
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        await self._connection.write(buffer)

    async def aclose(self) -> None:
        self._connection.close()

    def get_extra_info(self, info: str) -> Any:
        return None


class _StrictHttp2Connection(httpcore.AsyncHTTP2Connection):
    """httpcore's connection, with limits.

    httpcore reads a response without a status as 200, fails on a status that is not a number, and accepts any number of
    informational responses and header lines.
    """

    _interim = 0

    async def _read_incoming_data(self, request: httpcore.Request) -> list[h2.events.Event]:
        events = await super()._read_incoming_data(request)
        for event in events:
            if isinstance(event, h2.events.InformationalResponseReceived):
                self._interim += 1
                if self._interim > MAX_INTERIM_RESPONSES:
                    raise TooManyInterimResponses(MAX_INTERIM_RESPONSES)
                _check_lines(event.headers, MAX_INTERIM_HEADER_LINES)
            elif isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                _check_lines(event.headers, MAX_HEADER_LINES)
        return events

    async def _receive_stream_event(self, request: httpcore.Request, stream_id: int) -> Any:
        event = await super()._receive_stream_event(request, stream_id)
        if isinstance(event, h2.events.ResponseReceived):
            said = [value for name, value in event.headers or () if name == b":status"]
            if len(said) != 1 or _STATUS.fullmatch(said[0]) is None:
                raise MalformedHttp2("answered with something that is not HTTP/2 (illegal status)")
        return event


def _check_lines(headers: Sequence[tuple[bytes, bytes]] | None, most: int) -> None:
    """Raises TooManyHeaderLines."""
    if headers is not None and len(headers) > most:
        status = next((value for name, value in headers if name == b":status"), b"")
        raise TooManyHeaderLines(status.decode("ascii", "replace") if _IN_DIGITS.fullmatch(status) else "", most)


class Http2Exchange(httpx.AsyncByteStream):
    """The response to one request, and its body as a stream; closing it early aborts the connection."""

    def __init__(self, connection: TargetConnection) -> None:
        self._connection = connection
        self._stream: _ConnectionStream | None = None
        self._response: httpcore.Response | None = None

    async def send_request(self, request: httpx.Request, clock: PhaseClock) -> httpcore.Response:
        """Send the request and return the final response's head. Raises ProtocolViolation, and what reading raises."""
        # Settings precede the response, so they do not mark its first byte.
        self._connection.marks_first_byte = False
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        http_request = httpcore.Request(request.method, url, headers=request.headers.raw, content=request.content)
        stream = self._stream = _ConnectionStream(self._connection)
        spoken = _StrictHttp2Connection(url.origin, stream)
        try:
            self._response = await spoken.handle_async_request(http_request)
        except (httpcore.ProtocolError, httpcore.ConnectionNotAvailable) as error:
            raise _malformed(error) from None
        clock.enter("body")
        stream.overhead_bytes = 0
        return self._response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert self._response is not None
        assert self._stream is not None
        try:
            async for part in self._response.aiter_stream():
                if part:
                    self._stream.overhead_bytes = 0
                    self._stream.content_bytes += len(part)
                yield part
        except (httpcore.ProtocolError, h2.exceptions.ProtocolError) as error:
            raise _malformed(error) from None

    async def aclose(self) -> None:
        self._connection.abort()


def _malformed(error: Exception) -> MalformedHttp2:
    """Return the error for an exception of httpcore, which contains that of h2."""
    if any(isinstance(each, h2.exceptions.DenialOfServiceError) for each in (error, *error.args)):
        return MalformedHttp2(
            f"sent more than {DEFAULT_MAX_HEADER_LIST_SIZE // 1024} KiB of headers: have it send less"
        )
    return MalformedHttp2(
        "aborted its response, or broke the rules of HTTP/2: check the service and the proxies in front of it"
    )
