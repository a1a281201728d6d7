"""One HTTP/1 response on a connection: its head, then its body as a stream. Built by transport.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx

from jobs.checks.errors import IncompleteResponse, MalformedResponse, TooManyInterimResponses
from jobs.checks.http_transport.http1 import (
    LARGEST_HEAD,
    MOST_INTERIM_RESPONSES,
    ResponseHead,
    find_head_end,
    parse_head,
)
from jobs.checks.http_transport.http1_bodies import BodyFraming, select_framing
from jobs.checks.http_transport.pool import ConnectionPool, PoolKey
from jobs.checks.http_transport.protocol_detection import may_be_http1, not_http_error
from jobs.checks.net.connection import TargetConnection


class Http1Exchange(httpx.AsyncByteStream):
    """The response to one request, and its body as a stream; closing it early aborts the connection."""

    def __init__(self, connection: TargetConnection, method: str) -> None:
        self._connection = connection
        self._method = method
        self._rest: bytes = b""
        self._head: ResponseHead | None = None
        self._body: BodyFraming | None = None
        self._keep: tuple[ConnectionPool, PoolKey] | None = None
        self._over = False

    def keep_in(self, pool: ConnectionPool, key: PoolKey) -> None:
        """Release the connection to the pool after a complete response, if the peer keeps it open."""
        self._keep = (pool, key)

    async def read_head(self) -> ResponseHead:
        """Return the head of the final response, after any informational ones."""
        room = LARGEST_HEAD
        try:
            for _ in range(MOST_INTERIM_RESPONSES + 1):
                block = await self._block(room)
                room -= len(block)
                head = parse_head(block)
                if head.version[:1] != b"1":
                    raise not_http_error(self._connection.first_bytes)
                if head.status == 101:
                    raise MalformedResponse("a switch to another protocol that was not requested")
                if head.status >= 200:
                    self._head, self._body = head, select_framing(self._method, head)
                    return head
        except MalformedResponse as error:
            if may_be_http1(self._connection.first_bytes):
                raise
            raise not_http_error(self._connection.first_bytes) from error
        raise TooManyInterimResponses(MOST_INTERIM_RESPONSES)

    async def _block(self, room: int) -> bytes:
        """Return the next head as bytes, at most `room` of them."""
        data, searched = self._rest, 0
        while (end := self._end_of_head(data, searched, room)) is None:
            searched = len(data)
            more = await self._connection.read()
            if not more:
                raise IncompleteResponse
            data = data + more if data else more
        self._rest = data[end:]
        return data[:end]

    def _end_of_head(self, data: bytes, searched: int, room: int) -> int | None:
        """Return the end of the head. Raises NotHttp before HeadTooLarge: the protocol matters more than the size."""
        if data and not may_be_http1(data[:8]):
            raise not_http_error(self._connection.first_bytes)
        return find_head_end(data, searched, room)

    def __aiter__(self) -> AsyncIterator[bytes]:
        # Not a generator: the event loop would close one that is not read to its end, at a later time.
        return self

    async def __anext__(self) -> bytes:
        body = self._body
        assert body is not None
        while self._rest or not body.is_complete:
            data, self._rest = self._rest or await self._connection.read(), b""
            if body.step_size is not None and len(data) > body.step_size:
                data, self._rest = data[: body.step_size], data[body.step_size :]
                await asyncio.sleep(0)  # other tasks run between two steps
            if not data:
                body.close()  # ends it, or raises
            elif content := body.feed(data):
                return content
        if not self._over:
            self._end(body)
        raise StopAsyncIteration

    def _end(self, body: BodyFraming) -> None:
        """Close or pool the connection after a complete response."""
        self._over = True
        if self._keep is not None and self._head is not None and not (body.has_extra or self._head.closes_connection):
            pool, key = self._keep
            pool.release(key, self._connection)
        else:
            self._connection.close()

    async def aclose(self) -> None:
        if not self._over:
            self._connection.abort()
