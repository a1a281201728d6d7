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
from jobs.checks.errors import NoResponse
from jobs.checks.http_transport.http1 import ResponseHead
from jobs.checks.http_transport.http1_exchange import Http1Exchange
from jobs.checks.http_transport.pool import ConnectionPool, PoolKey
from jobs.checks.http_transport.proxy_tunnel import ProxyEndpoint, open_tunnel
from jobs.checks.net.connection import TargetConnection
from jobs.checks.net.network import Network, peer_certificates
from jobs.checks.preloading import HTTP2_MODULE
from jobs.targets.urls import effective_port

_NO_ANSWER = (NoResponse, ConnectionError, ssl.SSLError)


class CheckTransport(httpx.AsyncBaseTransport):
    """Raises what Network.connect raises, then OSError, ssl.SSLError, NoResponse and ProtocolViolation, also while the
    body is read."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._pool = ConnectionPool()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        extensions = request.extensions
        url: httpx.URL = extensions.get("place") or request.url
        clock: PhaseClock = extensions["clock"]
        tls: ssl.SSLContext | None = extensions.get("tls")
        host, port = url.raw_host.decode("ascii"), effective_port(url.scheme, url.port)
        if extensions.get("http2") and HTTP2_MODULE not in sys.modules:
            # httpcore and h2 take half a second to load, which must not block the event loop.
            await asyncio.to_thread(import_module, HTTP2_MODULE)
        if extensions.get("kept"):
            return await self._send_pooled(request, (host, port, tls), clock)
        if "proxy" in extensions:
            connection = await self._connect_via_proxy(extensions, host, port, clock)
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
        if extensions.get("http2") and _negotiated_http2(connection, tls):
            return await _send_http2(request, connection, clock)
        return await self._send(request, connection, clock)

    async def _send_pooled(self, request: httpx.Request, place: PoolKey, clock: PhaseClock) -> httpx.Response:
        host, port, tls = place
        connection = self._pool.acquire(place)
        if connection is not None:
            connection.expect_response(clock)
            try:
                return await self._send(request, connection, clock, place)
            except _NO_ANSWER:
                if connection.first_bytes:
                    raise
                # The peer closed it while it was idle, which is not a fault.
        return await self._send(request, await self._network.connect(host, port, clock, tls), clock, place)

    async def _connect_via_proxy(
        self, extensions: MutableMapping[str, Any], host: str, port: int, clock: PhaseClock
    ) -> TargetConnection:
        """By way of the proxy; the time that a tunnel takes is part of the connect phase."""
        proxy: ProxyEndpoint = extensions["proxy"]
        tls: ssl.SSLContext | None = extensions.get("tls")
        asks: Callable[[str, int], None] = extensions["asks"]
        self._network.check_proxied(host, port)
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
        self._pool.close()
        self._network.close()

    async def _send(
        self,
        request: httpx.Request,
        connection: TargetConnection,
        clock: PhaseClock,
        place: PoolKey | None = None,
    ) -> httpx.Response:
        clock.enter("first_byte")
        exchange = Http1Exchange(connection, request.method)
        if place is not None:
            exchange.keep_in(self._pool, place)
        try:
            await connection.write(_head_of(request) + request.content)
            head = await exchange.read_head()
        except BaseException:
            connection.abort()
            raise
        return _LazyResponse(head, exchange, _extensions(head, connection))


def _negotiated_http2(connection: TargetConnection, tls: ssl.SSLContext | None) -> bool:
    """Without TLS there is nobody to ask: then who wants HTTP/2 knows that it is spoken there."""
    return tls is None or (connection.tls is not None and connection.tls.selected_alpn_protocol() == "h2")


async def _send_http2(request: httpx.Request, connection: TargetConnection, clock: PhaseClock) -> httpx.Response:
    from jobs.checks.http_transport.http2 import Http2Exchange

    clock.enter("first_byte")
    answer = Http2Exchange(connection)
    try:
        head = await answer.send_request(request, clock)
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
        headers.append((b"Connection", b"close"))  # HTTP/2 does not have this header
    elif "proxy" in extensions and "tls" not in extensions:
        target = b"http://" + url.netloc + target
        if authorization := extensions["proxy"].authorization:
            headers.append((b"Proxy-Authorization", authorization.encode()))
    return encode_head(request.method, target, headers)


def encode_head(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A request's head as it is sent."""
    lines = [b"%s %s HTTP/1.1" % (method.encode("ascii"), target), *(b"%s: %s" % field for field in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _extensions(head: ResponseHead, connection: TargetConnection) -> dict[str, Any]:
    extensions: dict[str, Any] = {
        "reason_phrase": head.reason,
        "http_version": b"HTTP/" + head.version,
        "headers": head.headers,
        "lines": len(head.fields),
    }
    extensions.update(_connected(connection))
    return extensions


def _connected(connection: TargetConnection) -> dict[str, Any]:
    extensions: dict[str, Any] = {"remote_address": connection.remote_address}
    session = connection.tls
    if session is not None:
        extensions["tls_version"] = session.version()
        extensions["certificates"] = peer_certificates(session)
    return extensions


class _LazyResponse(httpx.Response):
    """An httpx response whose headers are made for who looks at them: checks read those of its extensions."""

    def __init__(self, head: ResponseHead, stream: httpx.AsyncByteStream, extensions: dict[str, Any]) -> None:
        super().__init__(head.status, stream=stream, extensions=extensions)
        self._fields = head.fields
        del self.headers  # httpx's own, which are empty

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override]
        return httpx.Headers(self._fields)
