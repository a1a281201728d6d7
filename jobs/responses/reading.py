"""Send a request of an httpx client and read its response within limits: the one way in which the program reads a body
that is not a check's.

    response = await fetch(client, "GET", url, limit=65536, timeout_s=10.0)
    response = BlockingClient(client).fetch("POST", url, limit=65536, timeout_s=10.0, content=body)

httpx itself decompresses every encoding that a response names, whole parts at once: 400 bytes become gigabytes. So no
encoding is requested, at most one is accepted, and the limit holds within the decompression. The transport limits what
precedes the body: httpcore to 100 KiB a head, that of checks in lines, too. Redirects are not followed: the next host
would receive what is sent, such as a key.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from jobs.problems import make_printable
from jobs.responses.bounded_body import BoundedBody, UndecodableBody, make_inflater
from jobs.turns import wait_for_turn

if TYPE_CHECKING:
    import httpx

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
