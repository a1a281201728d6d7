"""What the transport and its callers exchange beyond httpx, as typed values in one extension of requests and responses.

Made by jobs.checks.http.exchange, jobs.checks.http.oauth and transport.py.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from jobs.checks.clock import PhaseClock
from jobs.checks.http_transport.proxy_tunnel import ProxyEndpoint

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
