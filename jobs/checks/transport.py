"""The httpx transport of checks: HTTP/1.1 over connections of our own, its phases on the attempt's clock.

Used by http.py below its httpx client. A request says what it needs in its extensions: "clock" (a PhaseClock); for
https, "tls" (an ssl.SSLContext); "kept", if it may use a connection that an earlier one has left; "head", its head as
bytes, and "place", its URL but for the path, where somebody has them already; "http2", if that is wanted; "proxy"
(tunnels.Proxy), with "asks", which is told whom the errors that follow are about; "server_name", if TLS asks for
another name than the host; "ip_version", if only one will do; "only_live", if it asks for nothing but LIVE_PATH.
httpx's own transport hides the phases, and costs several times as much.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Callable, Iterable, MutableMapping
from functools import cached_property
from importlib import import_module
from typing import Any

import httpx

from jobs.checks.clock import PhaseClock
from jobs.checks.connection import Connection
from jobs.checks.errors import NoResponse
from jobs.checks.http1 import Head
from jobs.checks.http1_exchange import _Exchange
from jobs.checks.kept import KeptConnections, Place
from jobs.checks.loading import HTTP_2
from jobs.checks.network import Network, certificates
from jobs.checks.tunnels import Proxy, open_tunnel
from jobs.urls import effective_port

_NO_ANSWER = (NoResponse, ConnectionError, ssl.SSLError)


class Transport(httpx.AsyncBaseTransport):
    """Raises what Network.connect raises, then OSError, ssl.SSLError, NoResponse and ProtocolViolation, also while the
    body is read."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._kept = KeptConnections()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        extensions = request.extensions
        url: httpx.URL = extensions.get("place") or request.url
        clock: PhaseClock = extensions["clock"]
        tls: ssl.SSLContext | None = extensions.get("tls")
        host, port = url.raw_host.decode("ascii"), effective_port(url.scheme, url.port)
        if extensions.get("http2") and HTTP_2 not in sys.modules:
            # httpcore and h2, which few need: half a second, for which nobody else should have to wait.
            await asyncio.to_thread(import_module, HTTP_2)
        if extensions.get("kept"):
            return await self._ask_kept(request, (host, port, tls), clock)
        if "proxy" in extensions:
            connection = await self._connect_through(extensions, host, port, clock)
        else:
            connection = await self._network.connect(
                host,
                port,
                clock,
                tls,
                server_name=extensions.get("server_name", ""),
                ip_version=extensions.get("ip_version"),
                only_live=extensions.get("only_live", False),
            )
        if extensions.get("http2") and _agrees_to_http2(connection, tls):
            return await _ask_by_http2(request, connection, clock)
        return await self._ask(request, connection, clock)

    async def _ask_kept(self, request: httpx.Request, place: Place, clock: PhaseClock) -> httpx.Response:
        host, port, tls = place
        connection = self._kept.take(place)
        if connection is not None:
            connection.expect(clock)
            try:
                return await self._ask(request, connection, clock, place)
            except _NO_ANSWER:
                if connection.first:
                    raise
                # The other side closed it while nobody used it: that says nothing about how it is.
        return await self._ask(request, await self._network.connect(host, port, clock, tls), clock, place)

    async def _connect_through(
        self, extensions: MutableMapping[str, Any], host: str, port: int, clock: PhaseClock
    ) -> Connection:
        """By way of the proxy; the time that a tunnel takes is part of the connect phase."""
        proxy: Proxy = extensions["proxy"]
        tls: ssl.SSLContext | None = extensions.get("tls")
        asks: Callable[[str, int], None] = extensions["asks"]
        self._network.check(host, port)
        asks(proxy.host, proxy.port)
        connection = await self._network.connect(proxy.host, proxy.port, clock, None)
        try:
            if tls is not None or extensions.get("http2"):
                await open_tunnel(connection, proxy, host, port)
            asks(host, port)
            if tls is not None:
                clock.enter("tls")
                await connection.start_tls(tls, extensions.get("server_name", host).rstrip("."))
        except BaseException:
            connection.abort()
            raise
        return connection

    async def aclose(self) -> None:
        self._kept.close()
        self._network.close()

    async def _ask(
        self,
        request: httpx.Request,
        connection: Connection,
        clock: PhaseClock,
        place: Place | None = None,
    ) -> httpx.Response:
        clock.enter("first_byte")
        exchange = _Exchange(connection, request.method)
        if place is not None:
            exchange.keep_in(self._kept, place)
        try:
            await connection.write(_head_of(request) + request.content)
            head = await exchange.head()
        except BaseException:
            connection.abort()
            raise
        return _Response(head, exchange, _extensions(head, connection))


def _agrees_to_http2(connection: Connection, tls: ssl.SSLContext | None) -> bool:
    """Without TLS there is nobody to ask: then who wants HTTP/2 knows that it is spoken there."""
    return tls is None or (connection.tls is not None and connection.tls.selected_alpn_protocol() == "h2")


async def _ask_by_http2(request: httpx.Request, connection: Connection, clock: PhaseClock) -> httpx.Response:
    from jobs.checks.http2 import Answer

    clock.enter("first_byte")
    answer = Answer(connection)
    try:
        head = await answer.head(request, clock)
    except BaseException:
        connection.abort()
        raise
    return httpx.Response(
        head.status,
        headers=head.headers,
        stream=answer,
        extensions={"http_version": b"HTTP/2", "lines": len(head.headers), **_connected(connection)},
    )


def _head_of(request: httpx.Request) -> bytes:
    extensions = request.extensions
    head: bytes | None = extensions.get("head")
    headers = request.headers.raw if head is None or "proxy" in extensions or "http2" in extensions else []
    if head is not None and not headers:
        return head
    url = request.url
    target, headers = url.raw_path, list(headers)
    if "http2" in extensions:
        headers.append((b"Connection", b"close"))  # which HTTP/2 does not have
    elif "proxy" in extensions and "tls" not in extensions:
        target = b"http://" + url.netloc + target
        if authorization := extensions["proxy"].authorization:
            headers.append((b"Proxy-Authorization", authorization.encode()))
    return head_bytes(request.method, target, headers)


def head_bytes(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A request's head as it is sent."""
    lines = [b"%s %s HTTP/1.1" % (method.encode("ascii"), target), *(b"%s: %s" % field for field in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _extensions(head: Head, connection: Connection) -> dict[str, Any]:
    extensions: dict[str, Any] = {
        "reason_phrase": head.reason,
        "http_version": b"HTTP/" + head.version,
        "headers": head.headers,
        "lines": len(head.fields),
    }
    extensions.update(_connected(connection))
    return extensions


def _connected(connection: Connection) -> dict[str, Any]:
    extensions: dict[str, Any] = {"remote_address": connection.remote_address}
    session = connection.tls
    if session is not None:
        extensions["tls_version"] = session.version()
        extensions["certificates"] = certificates(session)
    return extensions


class _Response(httpx.Response):
    """An httpx response whose headers are made for who looks at them: checks read those of its extensions."""

    def __init__(self, head: Head, stream: httpx.AsyncByteStream, extensions: dict[str, Any]) -> None:
        super().__init__(head.status, stream=stream, extensions=extensions)
        self._fields = head.fields
        del self.headers  # httpx's own, which are none

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override]
        return httpx.Headers(self._fields)
