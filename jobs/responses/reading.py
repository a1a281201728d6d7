"""Send a request of an httpx client and read its response within limits: the one way in which the program reads a body
that is not a check's.

    response = await fetch(client, "GET", url, limit=65536, timeout_s=10.0)
    response = fetch_blocking(client, "POST", url, limit=65536, timeout_s=10.0, content=body)

httpx itself decompresses every encoding that a response names, whole parts at once: 400 bytes become gigabytes. So no
encoding is requested, at most one is accepted, and the limit holds within the decompression. The transport limits what
precedes the body: httpcore to 100 KiB a head, that of checks in lines, too. Redirects are not followed: the next host
would receive what is sent, such as a key.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from jobs.problems import make_printable
from jobs.responses.bounded_body import BoundedBody
from jobs.responses.inflating import UndecodableBody, make_inflater

if TYPE_CHECKING:
    import httpx

IDENTITY_HEADERS = {"accept-encoding": "identity"}
_MOST_SHOWN = 60
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
        return _received(response, await _read(parts, response.headers.get("content-encoding", ""), limit))


def fetch_blocking(
    client: httpx.Client,
    method: str,
    url: str,
    *,
    limit: int,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> ReceivedResponse:
    """Do the same as `fetch` in this thread. `timeout_s`: for each wait before the body, and for the whole body.

    Raises:
        httpx.HTTPError
    """
    sent = {**(headers or {}), **IDENTITY_HEADERS}
    ends_at = time.monotonic() + timeout_s
    with client.stream(method, url, headers=sent, follow_redirects=False, timeout=timeout_s, **options) as response:
        parts = cast(Iterable[bytes], response.stream)
        return _received(response, read_blocking(parts, response.headers.get("content-encoding", ""), limit, ends_at))


def read_blocking(parts: Iterable[bytes], encoding: str, limit: int, ends_at: float) -> ReceivedBody:
    """Return the body of these parts, which is truncated at `limit` bytes, and at `ends_at` in monotonic seconds.

    Raises:
        Exception: what reading the parts raises.
    """
    if refusal := _refuse_encoding(encoding):
        return ReceivedBody(error=refusal)
    body = BoundedBody(encoding, limit)
    try:
        for part in parts:
            for _ in body.add(part):
                pass
            if body.is_truncated or time.monotonic() > ends_at:
                return ReceivedBody(body.content, is_truncated=True)
        body.end()
    except UndecodableBody as error:
        return ReceivedBody(error=str(error))
    return ReceivedBody(body.content)


async def _read(parts: AsyncIterable[bytes], encoding: str, limit: int) -> ReceivedBody:
    if refusal := _refuse_encoding(encoding):
        return ReceivedBody(error=refusal)
    body = BoundedBody(encoding, limit)
    try:
        async for part in parts:
            for _ in body.add(part):
                await asyncio.sleep(0)
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
    return f"its body is encoded as {make_printable(name, _MOST_SHOWN)}, but identity was requested"


def _received(response: httpx.Response, body: ReceivedBody) -> ReceivedResponse:
    return ReceivedResponse(response.status_code, response.reason_phrase, response.headers, body)
