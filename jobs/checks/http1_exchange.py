"""One HTTP/1 response on a connection: its head, then its body as a stream. Made by transport.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx

from jobs.checks.connection import Connection
from jobs.checks.errors import IncompleteResponse, MalformedResponse, TooManyInterimResponses
from jobs.checks.http1 import LARGEST_HEAD, MOST_INTERIM, Head, end_of_head, read_head
from jobs.checks.http1_bodies import Incoming, body_of
from jobs.checks.kept import KeptConnections, Place
from jobs.checks.spoken import begins_as_http, not_http


class _Exchange(httpx.AsyncByteStream):
    """The answer to one request, whose body it is as a stream; closed early, it breaks the connection off."""

    __slots__ = ("_body", "_connection", "_head", "_keep", "_method", "_over", "_rest")

    def __init__(self, connection: Connection, method: str) -> None:
        self._connection = connection
        self._method = method
        self._rest: bytes = b""
        self._head: Head | None = None
        self._body: Incoming | None = None
        self._keep: tuple[KeptConnections, Place] | None = None
        self._over = False

    def keep_in(self, kept: KeptConnections, place: Place) -> None:
        """Leave the connection there after a whole answer, if the other side keeps it, too."""
        self._keep = (kept, place)

    async def head(self) -> Head:
        """The final answer's head, whatever informational ones come before it."""
        room = LARGEST_HEAD
        try:
            for _ in range(MOST_INTERIM + 1):
                block = await self._block(room)
                room -= len(block)
                head = read_head(block)
                if head.version[:1] != b"1":
                    raise not_http(self._connection.first)
                if head.status == 101:
                    raise MalformedResponse("a switch to another protocol that nobody asked for")
                if head.status >= 200:
                    self._head, self._body = head, body_of(self._method, head)
                    return head
        except MalformedResponse as error:
            if begins_as_http(self._connection.first):
                raise
            raise not_http(self._connection.first) from error
        raise TooManyInterimResponses(MOST_INTERIM)

    async def _block(self, room: int) -> bytes:
        """The next head as bytes, at most `room` of them."""
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
        """Raises NotHttp before HeadTooLarge: it matters more what it is than how much there is of it."""
        if data and not begins_as_http(data[:8]):
            raise not_http(self._connection.first)
        return end_of_head(data, searched, room)

    def __aiter__(self) -> AsyncIterator[bytes]:
        # No generator: the loop takes each of those in and out of a set, which costs more than a short body.
        return self

    async def __anext__(self) -> bytes:
        body = self._body
        assert body is not None
        while self._rest or not body.ended:
            data, self._rest = self._rest or await self._connection.read(), b""
            if body.bite is not None and len(data) > body.bite:
                data, self._rest = data[: body.bite], data[body.bite :]
                await asyncio.sleep(0)  # other tasks run between two bites
            if not data:
                body.close()  # ends it, or raises
            elif content := body.feed(data):
                return content
        if not self._over:
            self._end(body)
        raise StopAsyncIteration

    def _end(self, body: Incoming) -> None:
        """After a whole answer."""
        self._over = True
        if self._keep is not None and self._head is not None and not (body.extra or self._head.closes):
            kept, place = self._keep
            kept.leave(place, self._connection)
        else:
            self._connection.finish()

    async def aclose(self) -> None:
        if not self._over:
            self._connection.abort()
