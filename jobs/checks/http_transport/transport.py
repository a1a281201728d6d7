"""The httpx transport of checks: HTTP over our own connections, with its phases on the attempt's clock.

Used by the client in jobs.checks.http.exchange. A request carries RequestOptions, a response ResponseDetails. httpx's
own transport hides the phases, and costs several times as much.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Iterable
from importlib import import_module

import httpx

from jobs.checks.clock import PhaseClock
from jobs.checks.errors import NoResponse
from jobs.checks.http_transport.http1 import join_fields
from jobs.checks.http_transport.http1_exchange import Http1Exchange
from jobs.checks.http_transport.options import RequestOptions, ResponseDetails, request_options
from jobs.checks.http_transport.pool import ConnectionPool, PoolKey
from jobs.checks.http_transport.proxy_tunnel import ProxyEndpoint, open_tunnel
from jobs.checks.net.connection import TargetConnection
from jobs.checks.net.network import Network, peer_certificates
from jobs.checks.preloading import HTTP2_MODULE
from jobs.formats.host_ports import effective_port

_NO_ANSWER = (NoResponse, ConnectionError, ssl.SSLError)


class CheckTransport(httpx.AsyncBaseTransport):
    """Raises what Network.connect raises, then OSError, ssl.SSLError, NoResponse and ProtocolViolation, also while the
    body is read."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._pool = ConnectionPool()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        options = request_options(request)
        url = options.base_url or request.url
        host, port = url.raw_host.decode("ascii"), effective_port(url.scheme, url.port)
        if options.http2 and HTTP2_MODULE not in sys.modules:
            # httpcore and h2 take half a second to load, which must not block the event loop.
            await asyncio.to_thread(import_module, HTTP2_MODULE)
        if options.is_pooled:
            return await self._send_pooled(request, options, (host, port, options.tls))
        if options.proxy is not None:
            connection = await self._connect_via_proxy(options, options.proxy, host, port)
        else:
            connection = await self._network.connect(
                host,
                port,
                options.clock,
                options.tls,
                server_name=options.server_name,
                ip_version=options.ip_version,
                only_live=options.only_live,
            )
        if options.http2 and _negotiated_http2(connection, options.tls):
            return await _send_http2(request, connection, options.clock)
        return await self._send(request, options, connection)

    async def _send_pooled(self, request: httpx.Request, options: RequestOptions, key: PoolKey) -> httpx.Response:
        connection = self._pool.acquire(key)
        if connection is not None:
            connection.expect_response(options.clock)
            try:
                return await self._send(request, options, connection, key)
            except _NO_ANSWER:
                if connection.first_bytes:
                    raise
                # The peer closed it while it was idle, which is not a fault.
        host, port, tls = key
        connection = await self._network.connect(host, port, options.clock, tls)
        return await self._send(request, options, connection, key)

    async def _connect_via_proxy(
        self, options: RequestOptions, proxy: ProxyEndpoint, host: str, port: int
    ) -> TargetConnection:
        """Connect to the proxy; the time of a tunnel is part of the connect phase."""
        on_peer_change = options.on_peer_change
        assert on_peer_change is not None
        self._network.check_proxied(host, port)
        on_peer_change(proxy.host, proxy.port)
        connection = await self._network.connect(proxy.host, proxy.port, options.clock, None)
        try:
            if options.tls is not None or options.http2:
                await open_tunnel(connection, proxy, host, port)
            on_peer_change(host, port)
            if options.tls is not None:
                options.clock.enter("tls")
                await connection.start_tls(options.tls, (options.server_name or host).rstrip("."))
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
        options: RequestOptions,
        connection: TargetConnection,
        key: PoolKey | None = None,
    ) -> httpx.Response:
        options.clock.enter("first_byte")
        exchange = Http1Exchange(connection, request.method)
        if key is not None:
            exchange.keep_in(self._pool, key)
        try:
            await connection.write(_head_of(request, options) + request.content)
            head = await exchange.read_head()
        except BaseException:
            connection.abort()
            raise
        details = _details(connection, head.headers, len(head.fields))
        extensions = details.as_extensions(b"HTTP/" + head.version, head.reason)
        return httpx.Response(head.status, headers=head.fields, stream=exchange, extensions=extensions)


def _negotiated_http2(connection: TargetConnection, tls: ssl.SSLContext | None) -> bool:
    """Return whether HTTP/2 was negotiated; without TLS, the job's author knows that the target speaks it."""
    return tls is None or (connection.tls is not None and connection.tls.selected_alpn_protocol() == "h2")


async def _send_http2(request: httpx.Request, connection: TargetConnection, clock: PhaseClock) -> httpx.Response:
    from jobs.checks.http_transport.http2 import Http2Exchange

    clock.enter("first_byte")
    exchange = Http2Exchange(connection)
    try:
        head = await exchange.send_request(request, clock)
    except BaseException:
        connection.abort()
        raise
    details = _details(connection, join_fields(head.headers), len(head.headers))
    extensions = details.as_extensions(b"HTTP/2")
    return httpx.Response(head.status, headers=head.headers, stream=exchange, extensions=extensions)


def _head_of(request: httpx.Request, options: RequestOptions) -> bytes:
    """Encode the head for HTTP/1.1."""
    if options.head and options.proxy is None and not options.http2:
        return options.head
    url, target, headers = request.url, request.url.raw_path, list(request.headers.raw)
    if options.http2:
        headers.append((b"Connection", b"close"))  # HTTP/2 does not have this header
    elif options.proxy is not None and options.tls is None:
        target = b"http://" + url.netloc + target
        if authorization := options.proxy.authorization:
            headers.append((b"Proxy-Authorization", authorization.encode()))
    return encode_head(request.method, target, headers)


def encode_head(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Encode the head of a request."""
    lines = [b"%s %s HTTP/1.1" % (method.encode("ascii"), target), *(b"%s: %s" % field for field in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _details(connection: TargetConnection, headers: dict[str, str], line_count: int) -> ResponseDetails:
    session = connection.tls
    if session is None:
        return ResponseDetails(headers, line_count, connection.remote_address)
    certificates = peer_certificates(session)
    return ResponseDetails(headers, line_count, connection.remote_address, session.version(), certificates)
