"""Map exceptions to error classes and messages, in one table; messages for errors with many causes, and routes.

Many causes have DNS, routes of the network, certificates and handshakes. The route of an HTTP request is through a
proxy or redirects. An operator reads the messages at an alert: what went wrong, who did it, and what to check. They
never contain more of a URL than host and port, nor bytes that a target sent.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from jobs.checks.clock import Peer, Phase
from jobs.checks.errors import (
    BodyMemoryExhausted,
    CaFileUnusable,
    DriverMissing,
    NoAddressOfVersion,
    NoResponse,
    PeerError,
    ProtocolViolation,
    TargetDenied,
    TooManyRedirects,
    TunnelRefused,
)
from jobs.errors import SecretUnavailable, TokenUnavailable
from jobs.problems import make_printable
from jobs.runs import ErrorClass
from jobs.targets.databases import MISSING_DRIVERS

OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""Errors that are not the target's."""

_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})

_UNKNOWN_NAME = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)


def describe_resource_shortage(error: Any, peer: Peer) -> str:
    return (
        f"{peer} could not be checked, because this machine lacks a resource ({make_printable(str(error.strerror))}): "
        "check its open files, connections, addresses and memory."
    )


def describe_dns_failure(error: Any, peer: Peer) -> str:
    host = peer.host
    if error.errno == socket.EAI_AGAIN:
        return f"The DNS gave no answer about {host}: check the app's DNS servers and the route to them."
    if error.errno in _UNKNOWN_NAME:
        return f"The DNS has no address for {host}: check the spelling, the DNS zone and the app's DNS servers."
    reason = make_printable(str(error.strerror))
    return f"{host} could not be resolved ({reason}): check the DNS zone and the app's DNS servers."


def describe_connect_failure(error: Any, peer: Peer) -> str:
    if error.errno in _UNREACHABLE:
        return f"There is no route to {peer}: check the routes, the VNet peering and the firewalls on the path."
    return f"No connection to {peer}: {make_printable(error.strerror or type(error).__name__)}."


_NOT_TRUSTED = (
    "is signed by an authority that is not trusted here: set tls.ca_file to the authority, "
    "or have the server send its complete chain"
)
_SIGNED_BY_A_LEAF = "is signed by a certificate that is not a CA: check the chain that the server sends"
_WEAK = "has a key that is too weak: issue it again with a longer one, such as RSA with 2048 bits"
_OTHER_NAMES = (
    "is not valid for {host}: add it to the certificate's subject alternative names (the subject CN is ignored)"
)

# By OpenSSL's X509_V_ERR_* number.
CERTIFICATE_REASONS = {
    2: _NOT_TRUSTED,
    9: "is not valid yet: check its start date and the clocks",
    10: "has expired, or a certificate of its chain has: renew it",
    18: "is self-signed: have an authority sign it, or set tls.ca_file to it",
    19: _NOT_TRUSTED,
    20: _NOT_TRUSTED,
    21: _NOT_TRUSTED,
    23: "has been revoked: replace it",
    24: _SIGNED_BY_A_LEAF,
    26: "is not for servers: issue one whose extended key usage includes serverAuth",
    62: _OTHER_NAMES,
    64: _OTHER_NAMES,
    66: _WEAK,
    67: "is signed by an authority whose key is too weak: have another authority issue it",
    68: "is signed with a digest that is too weak, such as SHA-1: issue it again",
    79: _SIGNED_BY_A_LEAF,
}


def describe_bad_certificate(error: Any, peer: Peer) -> str:
    reason = CERTIFICATE_REASONS.get(error.verify_code)
    if reason is None:
        return f"The certificate of {peer} was not accepted: {make_printable(error.verify_message)}."
    return f"The certificate of {peer} {reason.format(host=peer.tls_name)}."


_NOT_TLS = "answered with something that is not TLS: the port seems to speak plain HTTP"
_DAMAGED = "sent data that was damaged in transit: check the devices on the path"
_UNKNOWN_TO_SERVER = "does not know the name {host}"

# By OpenSSL's name of the reason.
HANDSHAKE_REASONS = {
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "HTTP_REQUEST": _NOT_TLS,
    "UNSUPPORTED_PROTOCOL": "supports only TLS versions that are too old to be safe",
    "TLSV1_ALERT_PROTOCOL_VERSION": "and this program support no common TLS version",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "rejected the handshake: there is no common cipher, or it requires a client certificate"
    ),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "requires a client certificate",
    "UNEXPECTED_EOF_WHILE_READING": (
        "closed the connection in the handshake: it expects no TLS, restarts, or has no connection left"
    ),
    "RECORD_LAYER_FAILURE": _DAMAGED,
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": _DAMAGED,
    "TLSV1_UNRECOGNIZED_NAME": _UNKNOWN_TO_SERVER,
    "TLSV1_ALERT_UNRECOGNIZED_NAME": _UNKNOWN_TO_SERVER,
}


def _openssl_reason(text: str) -> str:
    """Return OpenSSL's name of the reason, for an error that is newer than the names in the ssl module."""
    found = re.search(r"\] ([\w ]+) \(_ssl", text)
    return found[1].replace(" ", "_").upper() if found else "UNKNOWN"


def describe_tls_failure(error: Any, peer: Peer) -> str:
    name = getattr(error, "reason", None) or _openssl_reason(str(error))
    reason = HANDSHAKE_REASONS.get(name)
    if reason is None:
        return f"No TLS session: {peer} and this program could not agree on one ({name.replace('_', ' ').lower()})."
    return f"No TLS session: {peer} {reason.format(host=peer.tls_name)}."


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


def shown_certificates_of(error: Exception) -> tuple[bytes, ...]:
    """Return the certificates that were not accepted, DER, the target's own first; empty for any other error."""
    return getattr(error, "certificates", ())


def _predicate(error: PeerError, peer: Peer) -> str:
    return f"{peer} {error}."


def _error_text(error: Exception, peer: Peer) -> str:
    text = str(error)
    return text if text.endswith(".") else f"{text}."


def _other_version(error: NoAddressOfVersion, peer: Peer) -> str:
    return f"{peer.host} has no IPv{error} address: check ip_version."


def _no_driver(error: DriverMissing, peer: Peer) -> str:
    return f"{peer} was not checked, as {MISSING_DRIVERS} (there is no module {error})."


def _no_tunnel(error: TunnelRefused, peer: Peer) -> str:
    reason = _TUNNELS.get(error.status, "")
    if error.is_default:
        reason = reason.replace("proxy_auth", "the settings outbound.proxy_user and outbound.proxy_password")
    what = "opened no tunnel to" if error.is_tunnel else "refused the request before it reached"
    return f"The proxy {peer} {what} {error.endpoint}: it answered {error.status}{reason}."


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
    (None, DriverMissing, ErrorClass.INTERNAL_ERROR, _no_driver),
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


PROXY_NOTE = "This is the proxy."


def is_about_proxy(message: str) -> bool:
    """Return whether the message of a check is about the proxy, and not about the target."""
    return message.startswith("The proxy ") or message.endswith(PROXY_NOTE)


@dataclass(slots=True)
class RequestRoute:
    """`peer`: of the latest request. `redirected_by`: the peer that redirected it. `proxy`: the proxy, once it is
    connected to."""

    peer: Peer | None = None
    redirected_by: Peer | None = None
    proxy: Peer | None = None

    def move_to(self, peer: Peer) -> None:
        """Set the peer of the next request."""
        if self.peer not in (None, peer):
            self.redirected_by = self.peer
        self.peer = peer

    def describe(self) -> str:
        """Return what the target's URL does not show, as sentences."""
        notes = []
        if self.proxy is not None:
            here = self.peer == self.proxy
            notes.append(PROXY_NOTE if here else f"The request went through the proxy {self.proxy}.")
        if self.redirected_by is not None and self.redirected_by != self.peer:
            notes.append(f"{self.redirected_by} redirected to it.")
        return " ".join(notes)
