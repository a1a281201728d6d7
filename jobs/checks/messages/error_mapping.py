"""Map exceptions to error classes and messages, in one table. Called by the checks and jobs.checks.http.oauth."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import httpx

from jobs.checks.clock import Phase
from jobs.checks.errors import (
    BodyMemoryExhausted,
    CaFileUnusable,
    NoAddressOfVersion,
    NoResponse,
    PeerError,
    ProtocolViolation,
    TargetDenied,
    TooManyRedirects,
    TunnelRefused,
)
from jobs.checks.messages.network import (
    OUT_OF_RESOURCES,
    describe_bad_certificate,
    describe_connect_failure,
    describe_dns_failure,
    describe_resource_shortage,
    describe_tls_failure,
)
from jobs.checks.peer import Peer
from jobs.errors import SecretUnavailable, TokenUnavailable
from jobs.runs import ErrorClass


def classify_error(error: Exception, phase: Phase | None, peer: Peer) -> tuple[ErrorClass, str] | None:
    """Return error class and message of what went wrong in this phase; None for an unexpected error."""
    if isinstance(error, OSError) and error.errno in OUT_OF_RESOURCES:
        return ErrorClass.OUT_OF_RESOURCES, describe_resource_shortage(error, peer)
    if isinstance(error, ssl.SSLError) and getattr(error, "reason", None) in _NO_COMMON_PROTOCOL:
        return ErrorClass.PROTOCOL_ERROR, f"{peer} rejected every HTTP version offered (ALPN): {_TRY_HTTP2}."
    for when, kind, error_class, sentence in _MAPPINGS:
        if (when is None or when == phase) and isinstance(error, kind):
            text = sentence(error, peer) if callable(sentence) else sentence.format(peer=peer, host=peer.host)
            return error_class, text
    return None


def _predicate(error: PeerError, peer: Peer) -> str:
    return f"{peer} {error}."


def _error_text(error: Exception, peer: Peer) -> str:
    text = str(error)
    return text if text.endswith(".") else f"{text}."


def _other_version(error: NoAddressOfVersion, peer: Peer) -> str:
    return f"{peer.host} has no IPv{error} address: check ip_version."


def _no_tunnel(error: TunnelRefused, peer: Peer) -> str:
    return (
        f"The proxy {peer} opened no tunnel to {error.endpoint}: it answered "
        f"{error.status}{_TUNNELS.get(error.status, '')}."
    )


_TUNNELS = {
    403: ", so its rules do not allow that target",
    407: ", so it requires authentication: check proxy_auth",
    502: ", so it could not connect to it",
    503: ", so it could not connect to it",
    504: ", so it could not connect to it",
}
_NO_COMMON_PROTOCOL = ("TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "SSLV3_ALERT_NO_APPLICATION_PROTOCOL")
_TRY_HTTP2 = "if it speaks only HTTP/2, set http2: true"
_NO_NAME = "{host} is not a valid host name: check the URL."
_NO_SERVER_NAME = "No TLS session with {peer}: server_name is not a valid host name."
_REFUSED = "{peer} refused the connection: nothing listens on this port, or a firewall rejects it."
_SILENT = "{peer} did not answer the connection attempt: the host is down, or a firewall drops the packets."
_NO_HANDSHAKE = "{peer} closed the connection during the TLS handshake: check that the port speaks TLS for {host}."
_RESET = "{peer} reset the connection before its response: the service or a proxy crashed, or rejected the request."
_RESET_LATE = "{peer} reset the connection before its response was complete: the service or a proxy crashed."
_Row = tuple[Phase | None, type[Exception], ErrorClass, str | Callable[[Any, Peer], str]]

# The first matching row counts, so special errors precede general ones.
_MAPPINGS: tuple[_Row, ...] = (
    (None, SecretUnavailable, ErrorClass.SECRET_UNAVAILABLE, _error_text),
    (None, TokenUnavailable, ErrorClass.TOKEN_UNAVAILABLE, _error_text),
    (None, TargetDenied, ErrorClass.TARGET_DENIED, _error_text),
    (None, BodyMemoryExhausted, ErrorClass.INTERNAL_ERROR, _error_text),
    (None, CaFileUnusable, ErrorClass.INTERNAL_ERROR, _error_text),
    (None, httpx.InvalidURL, ErrorClass.DNS_FAILURE, _NO_NAME),
    (None, NoAddressOfVersion, ErrorClass.DNS_FAILURE, _other_version),
    ("dns", socket.gaierror, ErrorClass.DNS_FAILURE, describe_dns_failure),
    ("dns", UnicodeError, ErrorClass.DNS_FAILURE, _NO_NAME),
    ("tls", UnicodeError, ErrorClass.TLS_FAILURE, _NO_SERVER_NAME),
    ("connect", ConnectionRefusedError, ErrorClass.CONNECTION_REFUSED, _REFUSED),
    ("connect", TimeoutError, ErrorClass.CONNECT_TIMEOUT, _SILENT),
    ("connect", ConnectionResetError, ErrorClass.CONNECTION_RESET, _RESET),
    (None, ssl.SSLCertVerificationError, ErrorClass.TLS_CERTIFICATE, describe_bad_certificate),
    (None, ProtocolViolation, ErrorClass.PROTOCOL_ERROR, _predicate),  # precedes ssl.SSLError: some are both
    (None, ssl.SSLError, ErrorClass.TLS_FAILURE, describe_tls_failure),
    ("tls", OSError, ErrorClass.TLS_FAILURE, _NO_HANDSHAKE),
    (None, NoResponse, ErrorClass.CONNECTION_RESET, _predicate),
    ("body", ConnectionError, ErrorClass.CONNECTION_RESET, _RESET_LATE),
    (None, ConnectionError, ErrorClass.CONNECTION_RESET, _RESET),
    (None, OSError, ErrorClass.CONNECTION_FAILED, describe_connect_failure),
    (None, TunnelRefused, ErrorClass.CONNECTION_FAILED, _no_tunnel),
    (None, TooManyRedirects, ErrorClass.TOO_MANY_REDIRECTS, _predicate),
    # Errors of other transports: tests pass their own clients.
    (None, httpx.ConnectError, ErrorClass.CONNECTION_FAILED, "No connection to {peer}."),
    (None, httpx.NetworkError, ErrorClass.CONNECTION_RESET, _RESET),
    (None, httpx.RemoteProtocolError, ErrorClass.PROTOCOL_ERROR, "{peer} answered with something that is not HTTP."),
)
