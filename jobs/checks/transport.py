"""The httpx transport of checks: HTTP/1.1 over a fresh connection for each request, its phases on the attempt's clock.

Used by http.py below its httpx client. A request says what it needs in its extensions: "clock" (a PhaseClock) and, for
https, "tls" (an ssl.SSLContext). httpx's own transport hides the phases, and costs twice as much.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import h11
import httpx

from jobs.checks.clock import PhaseClock
from jobs.checks.network import Connection, Network
from jobs.checks.spoken import NotHttp, begins_as_http

MOST_INTERIM = 20
"""Informational answers (100 Continue, 103 Early Hints) before the final one."""

LARGEST_HEAD = 100 * 1024
"""Bytes of an answer's status line and headers."""


class AnswerCutOff(Exception):
    """The other side closed the connection before its answer was whole."""


class TooManyInterim(Exception):
    """There are more than MOST_INTERIM informational answers."""


class FreshConnections(httpx.AsyncBaseTransport):
    """Raises what Network.connect raises; then OSError, ssl.SSLError, h11.RemoteProtocolError, ClosedWithoutAnswer and
    AnswerCutOff, while the body is read, too; NotHttp and TooManyInterim before."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url, clock = request.url, request.extensions["clock"]
        assert isinstance(clock, PhaseClock)
        secure = url.scheme == "https"
        connection = await self._network.connect(
            url.raw_host.decode("ascii"),
            url.port or (443 if secure else 80),
            clock,
            request.extensions["tls"] if secure else None,
        )
        clock.enter("first_byte")
        exchange = _Exchange(connection)
        try:
            await exchange.send(request)
            head = await exchange.head()
        except BaseException:
            connection.abort()
            raise
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=exchange,
            extensions={"reason_phrase": head.reason, "http_version": b"HTTP/" + head.http_version},
        )

    async def aclose(self) -> None:
        self._network.close()


class _Exchange(httpx.AsyncByteStream):
    """One request and its answer, whose body it is as a stream; closed early, it breaks the connection off."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)

    async def send(self, request: httpx.Request) -> None:
        """All of it at once: a small request fits into one packet."""
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        events = (head, h11.Data(data=request.content), h11.EndOfMessage())
        await self._connection.write(b"".join(self._http.send(event) or b"" for event in events))

    async def head(self) -> h11.Response:
        """The final answer's head, whatever informational ones come before it."""
        try:
            for _ in range(MOST_INTERIM + 1):
                event = await self._next()
                if isinstance(event, h11.Response):
                    if event.http_version[:1] != b"1":
                        raise NotHttp(self._connection.first)
                    return event
        except (h11.RemoteProtocolError, AnswerCutOff) as error:
            if begins_as_http(self._connection.first):
                raise
            raise NotHttp(self._connection.first) from error
        raise TooManyInterim

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while isinstance(event := await self._next(), h11.Data):
            yield bytes(event.data)
        self._connection.finish()

    async def aclose(self) -> None:
        self._connection.abort()

    async def _next(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await self._connection.read()
            self._http.receive_data(data)
            if not data:
                return self._last()
        return event

    def _last(self) -> Any:
        """What the end of the connection means: to h11 a broken rule, to an operator not."""
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise AnswerCutOff from error
