"""What the transport and its callers exchange beyond httpx, as typed values in one extension of requests and responses.

Among them the tunnel through a proxy by CONNECT (RFC 9110, section 9.3.6).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from jobs.checks.clock import PhaseClock
from jobs.checks.errors import IncompleteResponse, TunnelRefused
from jobs.checks.http_transport.http1 import find_head_end, may_be_http1, not_http_error, parse_head
from jobs.checks.net.connection import TargetConnection
from jobs.formats import format_host_port


@dataclass(frozen=True, slots=True)
class ProxyEndpoint:
    """A proxy. `authorization`: the value of Proxy-Authorization, or empty."""

    host: str
    port: int
    authorization: str = ""


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
        raise TunnelRefused(head.status, place)
    connection.marks_first_byte = True
    connection.expect_response()
    if rest := data[end:]:
        connection.data_received(rest)  # the host behind the tunnel may send first, as in HTTP/2


_EXTENSION = "scheduler"


@dataclass(slots=True)
class RequestOptions:
    """How a request is sent."""

    clock: PhaseClock
    tls: ssl.SSLContext | None = None
    """Required for https."""
    server_name: str = ""
    """The name in the TLS handshake, if it is not the host."""
    ip_version: int | None = None
    """The only version of IP to connect by."""
    is_pooled: bool = False
    """Whether it may use an idle connection."""
    http2: bool = False
    only_live: bool = False
    """Whether it requests nothing but LIVE_PATH, see Guard.check_endpoint."""
    proxy: ProxyEndpoint | None = None
    on_peer_change: Callable[[str, int], None] | None = None
    """Called with the peer that the following errors are about; set with `proxy`."""
    base_url: httpx.URL | None = None
    """The URL without path and query, of a request whose URL is built only on demand. The next three belong to it."""
    origin: str = ""
    path: bytes = b""
    head: bytes = b""
    """The complete head as bytes."""

    def as_extensions(self) -> dict[str, Any]:
        """Return the extensions of the request."""
        return {_EXTENSION: self, "timeout": {}}


@dataclass(slots=True)
class ResponseDetails:
    """What a response shows beyond httpx."""

    headers: dict[str, str]
    """By lower-case name."""
    line_count: int
    """Header lines."""
    remote_address: str
    tls_version: str | None = None
    """None without TLS, as are the certificates empty."""
    certificates: tuple[bytes, ...] = ()

    def as_extensions(self, http_version: bytes, reason: bytes | None = None) -> dict[str, Any]:
        """Return the extensions of the response."""
        extensions: dict[str, Any] = {_EXTENSION: self, "http_version": http_version}
        if reason is not None:
            extensions["reason_phrase"] = reason
        return extensions


def request_options(request: httpx.Request) -> RequestOptions:
    """Return the options of a request of the checks."""
    options: RequestOptions = request.extensions[_EXTENSION]
    return options


def response_details(response: httpx.Response) -> ResponseDetails | None:
    """Return the details of a response; None if another transport made it."""
    return response.extensions.get(_EXTENSION)
