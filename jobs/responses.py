"""Read HTTP responses of any server within limits: bytes, encodings and time. Used wherever the program is a client.

    response = await fetch(client, "GET", url, limit=65536, timeout_s=10.0)
    response = BlockingClient(client).fetch("POST", url, limit=65536, timeout_s=10.0, content=body)
    async for line in fetch_lines(client, url, limit=65536, timeout_s=10.0):

httpx itself decompresses every encoding that a response names, whole parts at once: 400 bytes become gigabytes. So no
encoding is requested, at most one is accepted, and the limit holds within the decompression. The transport limits what
precedes the body: httpcore to 100 KiB a head, that of checks in lines, too. Redirects are not followed: the next host
would receive what is sent, such as a key.

Checks have their own exchange (jobs.checks.http) and share the body. A test forbids other ways to read a body.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast

from jobs.errors import JobsError
from jobs.inflaters import Inflater, NotInEncoding, UndecodableBody, make_inflater
from jobs.problems import make_printable
from jobs.turns import wait_for_turn

if TYPE_CHECKING:
    import httpx

_COMPRESSED_SLACK = 64 * 1024
"""Compressed bytes beyond the limit that are read at most: empty blocks expand to nothing, without end."""

_COMPRESSED_STEP = 16 * 1024
"""Compressed bytes that are decompressed in one step."""

_DECOMPRESSED_STEP = 1024 * 1024
"""Bytes that one step produces at most."""

_PARTS_OF_STEP = 50
"""Parts that are added in one step: a read of the connection can have ten thousand chunks of one byte."""


class BoundedBody:
    """At most `limit` bytes of a body. `encoding`: the Content-Encoding; if it is not known, the body stays encoded.

    `add` and `end` raise UndecodableBody.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self.is_truncated = False
        """Whether there was more than the limit; nothing is added any more."""
        self._limit = limit
        self._received = 0
        self._parts = 0
        self._content = bytearray()
        self._inflater = make_inflater(encoding.strip().lower()) if encoding else None

    def __len__(self) -> int:
        return len(self._content)

    @property
    def content(self) -> bytes:
        return bytes(self._content)

    def add(self, part: bytes) -> Iterable[None]:
        """Add a part of the body in steps of at most some milliseconds: the part is added when they are exhausted."""
        if self._inflater is not None:
            return self._inflate(self._inflater, part)
        self._content += part
        self._end_part(part)
        self._parts += 1
        return () if self._parts % _PARTS_OF_STEP else (None,)

    def end(self) -> None:
        """End the body."""
        if self._inflater is not None:
            self._inflater.finish()

    def _inflate(self, inflater: Inflater, part: bytes) -> Iterator[None]:
        # In pieces, because zlib copies what follows each tiny member.
        for begin in range(0, len(part), _COMPRESSED_STEP):
            if begin:
                yield
            rest = part[begin : begin + _COMPRESSED_STEP]
            while (rest or inflater.has_pending) and len(self._content) <= self._limit:
                room = min(self._limit + 1 - len(self._content), _DECOMPRESSED_STEP)
                found, rest = inflater.decompress(rest, room)
                self._content += found
                if inflater.has_pending:
                    yield
        self._end_part(part)

    def _end_part(self, part: bytes) -> None:
        self._received += len(part)
        if len(self._content) > self._limit or self._received > self._limit + _COMPRESSED_SLACK:
            del self._content[self._limit :]
            self.is_truncated = True


IDENTITY_HEADERS = {"accept-encoding": "identity"}
_MAX_SHOWN = 60
"""Characters of an encoding in an error."""


@dataclass(frozen=True, slots=True)
class ReceivedBody:
    """`error`: why the body cannot be read, a clause about the response; empty if it can."""

    content: bytes = b""
    is_truncated: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class ReceivedResponse:
    """`reason`: the phrase of the status line. `headers`: names in any case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    received: ReceivedBody

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def body(self) -> bytes:
        """The body, decompressed, at most the requested bytes; empty if it cannot be read."""
        return self.received.content

    def parse_json(self) -> Any:
        """Return the value of the body. Raises ValueError, also if the body is not complete."""
        if self.received.error or self.received.is_truncated:
            raise ValueError(self.received.error or "its body is too large")
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("its body has too many levels") from None


async def fetch(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    limit: int,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> ReceivedResponse:
    """Send a request and return the response with at most `limit` bytes of its body.

    `timeout_s`: seconds for all of it. `options`: those of httpx, such as `content`, `json` and `params`.

    Raises:
        TimeoutError
        Exception: what the client raises.
    """
    sent = {**(headers or {}), **IDENTITY_HEADERS}
    async with (
        asyncio.timeout(timeout_s),
        client.stream(method, url, headers=sent, follow_redirects=False, timeout=timeout_s, **options) as response,
    ):
        parts = cast(AsyncIterable[bytes], response.stream)
        return _received(response, await read_body(parts, response.headers.get("content-encoding", ""), limit))


class Unsuccessful(JobsError):
    """The response is not a success. `response`: it, with its body."""

    def __init__(self, response: ReceivedResponse) -> None:
        super().__init__(f"responded with status {response.status}")
        self.response = response


async def fetch_lines(
    client: httpx.AsyncClient,
    url: str,
    *,
    limit: int,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[str]:
    """Send a GET request, and yield the lines of the body as they arrive.

    `limit`: bytes of a line, and of the body of a failure. `timeout_s`: seconds for the head, and for each later part.

    Raises:
        TimeoutError, Unsuccessful
        UndecodableBody: the body is encoded, or a line is too long.
        Exception: what the client raises, also for a body that ends early.
    """
    sent = {**(headers or {}), **IDENTITY_HEADERS}
    async with (
        asyncio.timeout(timeout_s) as head,
        client.stream("GET", url, headers=sent, follow_redirects=False, timeout=timeout_s, **options) as response,
    ):
        parts, encoding = cast(AsyncIterable[bytes], response.stream), response.headers.get("content-encoding", "")
        if not 200 <= response.status_code < 300:
            raise Unsuccessful(_received(response, await read_body(parts, encoding, limit)))
        if encoding.strip().lower() not in ("", "identity"):
            raise NotInEncoding("identity")
        head.reschedule(None)
        line = bytearray()
        async for part in parts:
            for number, piece in enumerate(part.split(b"\n")):
                if number:
                    yield line.decode("utf-8", "replace")
                    line.clear()
                line += piece
                if len(line) > limit:
                    raise UndecodableBody(f"a line of its body has more than {limit:,} bytes")
        if line:
            yield line.decode("utf-8", "replace")


class BlockingClient:
    """A client of httpx for threads without an event loop. For one thread at a time.

    It has a separate event loop: the timeouts of httpx's blocking client start again with each byte, so a server that
    sends informational responses without end would hold the thread.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self._loop = asyncio.new_event_loop()

    def fetch(
        self,
        method: str,
        url: str,
        *,
        limit: int,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> ReceivedResponse:
        """Do the same as the function `fetch` in this thread. Raises httpx.HTTPError and TimeoutError."""
        response = fetch(self.client, method, url, limit=limit, timeout_s=timeout_s, headers=headers, **options)
        try:
            return self._loop.run_until_complete(response)
        except TimeoutError:
            raise TimeoutError(f"no complete response within {timeout_s:g} s") from None

    def close(self) -> None:
        """Close the client. A second call does nothing."""
        if not self._loop.is_closed():
            self._loop.run_until_complete(self.client.aclose())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_blocking(parts: Iterable[bytes], encoding: str, limit: int) -> ReceivedBody:
    """Do the same as `read_body` in this thread. The caller limits the time."""
    if refusal := _refuse_encoding(encoding):
        return ReceivedBody(error=refusal)
    body = BoundedBody(encoding, limit)
    try:
        for part in parts:
            for _ in body.add(part):
                pass
            if body.is_truncated:
                return ReceivedBody(body.content, is_truncated=True)
        body.end()
    except UndecodableBody as error:
        return ReceivedBody(error=str(error))
    return ReceivedBody(body.content)


async def read_body(parts: AsyncIterable[bytes], encoding: str, limit: int) -> ReceivedBody:
    """Return the body of these parts, truncated at `limit` bytes. Raises what the parts raise."""
    if refusal := _refuse_encoding(encoding):
        return ReceivedBody(error=refusal)
    body = BoundedBody(encoding, limit)
    try:
        async for part in parts:
            for _ in body.add(part):
                await wait_for_turn()
            if body.is_truncated:
                return ReceivedBody(body.content, is_truncated=True)
        body.end()
    except UndecodableBody as error:
        return ReceivedBody(error=str(error))
    return ReceivedBody(body.content)


def _refuse_encoding(encoding: str) -> str:
    """Return why a body of this Content-Encoding is refused; empty if it is accepted."""
    name = encoding.strip().lower()
    if name in ("", "identity") or make_inflater(name) is not None:
        return ""
    return f"its body is encoded as {make_printable(name, _MAX_SHOWN)}, but identity was requested"


def _received(response: httpx.Response, body: ReceivedBody) -> ReceivedResponse:
    return ReceivedResponse(response.status_code, response.reason_phrase, response.headers, body)


_MAX_WAIT = 365 * 86400.0


def parse_retry_after(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds to wait, never negative; None if the response has no valid value.

    A date is compared with the response's own Date: that clock may be wrong, but both come from it. `now` (aware) is
    for responses without one.
    """
    return None if status < 300 else parse_wait(headers, now)


def parse_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the same for a response of any status."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), _MAX_WAIT)
    until = _parse_date(text)
    if until is None:
        return None
    since = _parse_date(headers.get("date", "")) or now
    return min(max((until - since).total_seconds(), 0.0), _MAX_WAIT)


def _parse_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year of twenty digits
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
