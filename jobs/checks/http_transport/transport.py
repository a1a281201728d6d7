"""The httpx transport of checks: HTTP over our own connections, with its phases on the attempt's clock.

Used by the client in jobs.checks.http.exchange. A request carries RequestOptions, a response TargetResponse. httpx's
own transport hides the phases, and costs several times as much.

A tunnel through a proxy is opened by CONNECT (RFC 9110, section 9.3.6).
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Iterable
from importlib import import_module

import httpx

from jobs.checks.clock import PhaseClock
from jobs.checks.errors import IncompleteResponse, MalformedResponse, NoResponse, TooManyInterimResponses, TunnelRefused
from jobs.checks.guard import PROXY_GUARD
from jobs.checks.http_transport.messages import (
    MAX_HEAD,
    MAX_INTERIM_RESPONSES,
    BodyFraming,
    RequestOptions,
    ResponseHead,
    TargetResponse,
    find_head_end,
    join_fields,
    may_be_http1,
    not_http_error,
    parse_head,
    request_options,
    select_framing,
)
from jobs.checks.http_transport.pool import ConnectionPool, PoolKey
from jobs.checks.net.connection import TargetConnection
from jobs.checks.net.network import Network
from jobs.checks.net.tls_contexts import peer_certificates
from jobs.checks.outbound import ProxyEndpoint
from jobs.checks.port import HTTP2_MODULE
from jobs.formats import effective_port, format_host_port
from jobs.turns import wait_for_turn


async def open_tunnel(connection: TargetConnection, proxy: ProxyEndpoint, host: str, port: int) -> None:
    """Let the proxy at the other end of this connection forward it to the host.

    Raises:
        TunnelRefused: the proxy refuses.
        ProtocolViolation: it is not a proxy.
        Exception: what reading raises.
    """
    place = format_host_port(host, port)
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    connection.marks_first_byte = False
    await connection.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    data = b""
    while (end := find_head_end(data)) is None:
        if data and not may_be_http1(data[:8]):
            raise not_http_error(connection.first_bytes)
        more = await connection.read()
        if not more:
            raise IncompleteResponse
        data += more
    if not may_be_http1(data[:8]):
        raise not_http_error(connection.first_bytes)
    head = parse_head(data[:end])
    if not 200 <= head.status < 300:
        raise TunnelRefused(head.status, place, is_default=proxy.is_default)
    connection.marks_first_byte = True
    connection.expect_response()
    if rest := data[end:]:
        connection.data_received(rest)  # the host behind the tunnel may send first, as in HTTP/2


class Http1Exchange(httpx.AsyncByteStream):
    """The response to one request, and its body as a stream; closing it early aborts the connection."""

    def __init__(
        self, connection: TargetConnection, method: str, keep: tuple[ConnectionPool, PoolKey] | None = None
    ) -> None:
        """`keep`: the pool for the connection after a complete response, if the peer keeps it open."""
        self._connection = connection
        self._method = method
        self._rest: bytes = b""
        self._head: ResponseHead | None = None
        self._body: BodyFraming | None = None
        self._keep = keep
        self._over = False

    async def read_head(self) -> ResponseHead:
        """Return the head of the final response, after any informational ones."""
        room = MAX_HEAD
        try:
            for _ in range(MAX_INTERIM_RESPONSES + 1):
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
        raise TooManyInterimResponses(MAX_INTERIM_RESPONSES)

    async def _block(self, room: int) -> bytes:
        """Return the next head as bytes, at most `room` of them."""
        data, searched = self._rest, 0
        while not data or (end := self._end_of_head(data, searched, room)) is None:
            searched = len(data)
            more = await self._connection.read()
            if not more:
                raise IncompleteResponse
            data = data + more if data else more
        self._rest = data[end:]
        return data[:end]

    def _end_of_head(self, data: bytes, searched: int, room: int) -> int | None:
        """Return the end of the head. Raises NotHttp before HeadTooLarge: the protocol matters more than the size."""
        if not may_be_http1(data[:8]):
            raise not_http_error(self._connection.first_bytes)
        return find_head_end(data, searched, room)

    def take_body(self, most: int) -> bytes | None:
        """Return a body that arrived with its head, if it has at most so many bytes. None: read the stream."""
        body = self._body
        assert body is not None
        if body.remaining is None or body.remaining > min(len(self._rest), most):
            return None
        content, self._rest = body.feed(self._rest), b""
        self._end(body)
        return content

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
                await wait_for_turn()
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


_NO_ANSWER = (NoResponse, ConnectionError, ssl.SSLError)


class CheckTransport(httpx.AsyncBaseTransport):
    """Raises what Network.connect raises, then OSError, ssl.SSLError, NoResponse and ProtocolViolation, also while the
    body is read."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._to_proxies = Network(PROXY_GUARD)
        self._pool = ConnectionPool()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        options, url = request_options(request), request.url
        host, port = url.raw_host.decode("ascii"), effective_port(url.scheme, url.port)
        if options.http2:
            return (await self._send_http2(request, options, host, port)).to_httpx()
        data = _encode_request(request, options)
        return (await self.send(request.method, data, host, port, options)).to_httpx()

    async def send(self, method: str, data: bytes, host: str, port: int, options: RequestOptions) -> TargetResponse:
        """Send an encoded request over HTTP/1 and return the response. Raises what `handle_async_request` does."""
        if options.is_pooled:
            return await self._send_pooled(method, data, options, (host, port, options.tls))
        connection = await self._connect(host, port, options)
        response = await _send_over(connection, method, data, options)
        proxy = options.proxy
        if response.status == 407 and proxy is not None and proxy.is_default and options.tls is None:
            await response.stream.aclose()
            assert options.on_peer_change is not None
            options.on_peer_change(proxy.host, proxy.port)
            raise TunnelRefused(407, format_host_port(host, port), is_default=True, is_tunnel=False)
        return response

    async def _connect(self, host: str, port: int, options: RequestOptions) -> TargetConnection:
        if options.proxy is not None:
            return await self._connect_via_proxy(options, options.proxy, host, port)
        return await self._network.connect(
            host,
            port,
            options.clock,
            options.tls,
            server_name=options.server_name,
            ip_version=options.ip_version,
            only_live=options.only_live,
        )

    async def _send_http2(
        self, request: httpx.Request, options: RequestOptions, host: str, port: int
    ) -> TargetResponse:
        if HTTP2_MODULE not in sys.modules:
            # httpcore and h2 take half a second to load, which must not block the event loop.
            await asyncio.to_thread(import_module, HTTP2_MODULE)
        connection = await self._connect(host, port, options)
        if _negotiated_http2(connection, options.tls):
            return await _send_over_http2(request, connection, options.clock)
        return await _send_over(connection, request.method, _encode_request(request, options), options)

    async def _send_pooled(self, method: str, data: bytes, options: RequestOptions, key: PoolKey) -> TargetResponse:
        connection = self._pool.acquire(key)
        if connection is not None:
            connection.expect_response(options.clock)
            try:
                return await _send_over(connection, method, data, options, (self._pool, key))
            except _NO_ANSWER:
                if connection.first_bytes:
                    raise
                # The peer closed it while it was idle, which is not a fault.
        host, port, tls = key
        connection = await self._network.connect(host, port, options.clock, tls)
        return await _send_over(connection, method, data, options, (self._pool, key))

    async def _connect_via_proxy(
        self, options: RequestOptions, proxy: ProxyEndpoint, host: str, port: int
    ) -> TargetConnection:
        """Connect to the proxy; the time of a tunnel is part of the connect phase."""
        on_peer_change = options.on_peer_change
        assert on_peer_change is not None
        self._network.check_proxied(host, port)
        on_peer_change(proxy.host, proxy.port)
        network = self._to_proxies if proxy.is_default else self._network
        connection = await network.connect(proxy.host, proxy.port, options.clock, None)
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
        self._to_proxies.close()


async def _send_over(
    connection: TargetConnection,
    method: str,
    data: bytes,
    options: RequestOptions,
    keep: tuple[ConnectionPool, PoolKey] | None = None,
) -> TargetResponse:
    """Send an encoded request. `keep`: where the connection goes afterwards."""
    options.clock.enter("first_byte")
    exchange = Http1Exchange(connection, method, keep)
    try:
        await connection.write(data)
        head = await exchange.read_head()
    except BaseException:
        connection.abort()
        raise
    version, reason = f"HTTP/{head.version.decode('ascii')}", head.reason.decode("ascii", "ignore")
    response = TargetResponse(head.status, reason, version, head.fields, head.headers, exchange)
    return _describe_connection(response, connection)


def _negotiated_http2(connection: TargetConnection, tls: ssl.SSLContext | None) -> bool:
    """Return whether HTTP/2 was negotiated; without TLS, the job's author knows that the target speaks it."""
    return tls is None or (connection.tls is not None and connection.tls.selected_alpn_protocol() == "h2")


async def _send_over_http2(request: httpx.Request, connection: TargetConnection, clock: PhaseClock) -> TargetResponse:
    from jobs.checks.http_transport.http2 import Http2Exchange

    clock.enter("first_byte")
    exchange = Http2Exchange(connection)
    try:
        head = await exchange.send_request(request, clock)
    except BaseException:
        connection.abort()
        raise
    reason = httpx.codes.get_reason_phrase(head.status)
    response = TargetResponse(head.status, reason, "HTTP/2", head.headers, join_fields(head.headers), exchange)
    return _describe_connection(response, connection)


def _encode_request(request: httpx.Request, options: RequestOptions) -> bytes:
    """Encode a request for HTTP/1.1."""
    url, target, headers = request.url, request.url.raw_path, list(request.headers.raw)
    if options.http2:
        headers.append((b"Connection", b"close"))  # HTTP/2 does not have this header
    elif options.proxy is not None and options.tls is None:
        target = b"http://" + url.netloc + target
        if authorization := options.proxy.authorization:
            headers.append((b"Proxy-Authorization", authorization.encode()))
    return encode_head(request.method, target, headers) + request.content


def encode_head(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Encode the head of a request."""
    lines = [b"%s %s HTTP/1.1" % (method.encode("ascii"), target), *(b"%s: %s" % field for field in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _describe_connection(response: TargetResponse, connection: TargetConnection) -> TargetResponse:
    """Add what the connection shows."""
    response.remote_address = connection.remote_address
    if (session := connection.tls) is not None:
        response.tls_version, response.certificates = session.version(), peer_certificates(session)
    return response
