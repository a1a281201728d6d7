"""Foreign exceptions as error classes and sentences: one table, used at the edge of the HTTP check. Called by http.py.

The sentences are for somebody who is woken by them: who did what, and what to look at. They never hold more of a URL
than host and port.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11
import httpx

from jobs.checks.bodies import BadEncoding
from jobs.checks.clock import Phase
from jobs.checks.network import ClosedWithoutAnswer
from jobs.checks.redirects import BadRedirect
from jobs.checks.tls import CaFileUnusable
from jobs.checks.transport import LARGEST_HEAD, AnswerCutOff
from jobs.errors import SecretUnavailable, TokenUnavailable
from jobs.problems import printable
from jobs.runs import ErrorClass


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a request was for."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class TooManyRedirects(Exception):
    """The answer redirects once more than the target allows; the message is that number."""


def explain(error: Exception, phase: Phase | None, peer: Peer) -> tuple[ErrorClass, str] | None:
    """The error class and the sentence of what went wrong in this phase; None for what nobody foresaw."""
    for when, kind, error_class, sentence in _TABLE:
        if (when is None or when == phase) and isinstance(error, kind):
            text = sentence(error, peer) if callable(sentence) else sentence
            return error_class, text.format(peer=peer, host=peer.host)
    return None


def _dns(error: Any, peer: Peer) -> str:
    if error.errno == socket.EAI_AGAIN:
        return "The DNS gave no answer about {host}: look at the app's DNS servers and at the way to them."
    if error.errno in _UNKNOWN_NAME:
        return "The DNS knows no address of {host}: look at the spelling, the DNS zone and the app's DNS servers."
    return f"{{host}} could not be resolved: {_words(error.strerror)}."


_UNKNOWN_NAME = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)

_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


def _connect(error: Any, peer: Peer) -> str:
    if error.errno in _UNREACHABLE:
        return "There is no way to {peer}: look at the routes, the VNet peering and the firewalls between."
    if error.errno in _OURS:
        return (
            f"No connection to {{peer}}, for this machine has run out of what it takes ({_words(error.strerror)}): "
            "look at its open connections and files, the target was not asked."
        )
    return f"No connection to {{peer}}: {_words(error.strerror or type(error).__name__)}."


_CERTIFICATES = {
    9: "is not valid yet: look at its first day, and at the clocks",
    10: "has expired: renew it",
    18: "is self-signed: have an authority sign it, or name it in tls.ca_file",
    23: "has been revoked: replace it",
    62: "is for other names, not for {host}: look at the name in the URL and at those in the certificate",
    64: "is for other names, not for {host}: look at the name in the URL and at those in the certificate",
} | dict.fromkeys(
    (2, 19, 20, 21),
    "is signed by an authority that is not trusted here: name the authority in tls.ca_file, "
    "or have the server send its whole chain",
)
"""By OpenSSL's X509_V_ERR_* number."""


def _certificate(error: Any, peer: Peer) -> str:
    reason = _CERTIFICATES.get(error.verify_code, f"was not accepted: {_words(error.verify_message)}")
    return f"The certificate of {{peer}} {reason}."


_HANDSHAKES = {
    "WRONG_VERSION_NUMBER": "answered with something that is not TLS: the port seems to speak plain HTTP",
    "HTTP_REQUEST": "answered with something that is not TLS: the port seems to speak plain HTTP",
    "UNSUPPORTED_PROTOCOL": "knows only versions of TLS that are too old to be safe",
    "TLSV1_ALERT_PROTOCOL_VERSION": "and this program know no version of TLS in common",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "refused: there is no common cipher, or it wants a client certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "wants a client certificate",
    "TLSV1_UNRECOGNIZED_NAME": "does not know the name {host}",
    "TLSV1_ALERT_UNRECOGNIZED_NAME": "does not know the name {host}",
}


def _tls(error: Any, peer: Peer) -> str:
    reason = getattr(error, "reason", None) or "UNKNOWN"
    what = _HANDSHAKES.get(reason, f"and this program could not agree ({_words(reason.replace('_', ' ').lower())})")
    return f"No TLS session: {{peer}} {what}."


def _not_http(error: Any, peer: Peer) -> str:
    if error.error_status_hint == 431:
        return f"{{peer}} sent more than {LARGEST_HEAD // 1024} KiB of headers."
    # What follows the colon are bytes of the answer.
    return f"{{peer}} answered with something that is not HTTP/1.1 ({_words(str(error).partition(':')[0])})."


def _own_words(error: Exception, peer: Peer) -> str:
    text = str(error)
    return _words(text if text.endswith(".") else f"{text}.", 300)


def _words(text: object, longest: int = 80) -> str:
    return printable(str(text), longest).replace("{", "{{").replace("}", "}}")


_RESET = (
    "{peer} reset the connection before it answered: the service, or something before it, crashed or turned us away."
)
_RESET_LATE = "{peer} reset the connection in the middle of its answer: the service, or something before it, crashed."
_CLOSED = "{peer} closed the connection without an answer: look at the service, and at what stands before it."
_NO_TLS = "{peer} closed the connection during the TLS handshake: look whether the port speaks TLS, for {host}."

_Sentence = str | Callable[[Any, Peer], str]

# The first row that fits counts: special ones stand before general ones.
_TABLE: tuple[tuple[Phase | None, type[Exception], ErrorClass, _Sentence], ...] = (
    (None, SecretUnavailable, ErrorClass.SECRET_UNAVAILABLE, _own_words),
    (None, TokenUnavailable, ErrorClass.TOKEN_UNAVAILABLE, _own_words),
    (None, CaFileUnusable, ErrorClass.INTERNAL_ERROR, _own_words),
    (None, httpx.InvalidURL, ErrorClass.DNS_FAILURE, "{host} is no name that a host could have: look at the URL."),
    ("dns", socket.gaierror, ErrorClass.DNS_FAILURE, _dns),
    ("dns", UnicodeError, ErrorClass.DNS_FAILURE, "{host} is no name that a host could have: look at the URL."),
    (
        "connect",
        ConnectionRefusedError,
        ErrorClass.CONNECTION_REFUSED,
        "{peer} refused the connection: nothing listens on this port, or a firewall rejects it.",
    ),
    (
        "connect",
        TimeoutError,
        ErrorClass.CONNECT_TIMEOUT,
        "{peer} did not answer the attempt to connect: the host is down, or a firewall drops the packets.",
    ),
    ("connect", ConnectionResetError, ErrorClass.CONNECTION_RESET, _RESET),
    ("connect", OSError, ErrorClass.CONNECTION_FAILED, _connect),
    (None, ssl.SSLCertVerificationError, ErrorClass.TLS_CERTIFICATE, _certificate),
    (None, ssl.SSLError, ErrorClass.TLS_FAILURE, _tls),
    ("tls", OSError, ErrorClass.TLS_FAILURE, _NO_TLS),
    (None, ClosedWithoutAnswer, ErrorClass.CONNECTION_RESET, _CLOSED),
    ("body", ConnectionError, ErrorClass.CONNECTION_RESET, _RESET_LATE),
    (None, ConnectionError, ErrorClass.CONNECTION_RESET, _RESET),
    (
        None,
        AnswerCutOff,
        ErrorClass.PROTOCOL_ERROR,
        "{peer} closed the connection in the middle of its answer: look at the service, and at what stands before it.",
    ),
    (None, h11.RemoteProtocolError, ErrorClass.PROTOCOL_ERROR, _not_http),
    (
        None,
        BadEncoding,
        ErrorClass.PROTOCOL_ERROR,
        lambda error, _: f"{{peer}} sent a body that is not the {_words(error)} that its header promises.",
    ),
    (
        None,
        BadRedirect,
        ErrorClass.PROTOCOL_ERROR,
        lambda error, _: f"The answer of {{peer}} cannot be followed: it redirects {_words(error)}.",
    ),
    (
        None,
        TooManyRedirects,
        ErrorClass.TOO_MANY_REDIRECTS,
        lambda error, _: (
            f"{{peer}} redirects again after {error} redirects, the most that are followed: they may be a circle."
        ),
    ),
    (None, OSError, ErrorClass.CONNECTION_FAILED, _connect),
    # What other transports raise: tests hand over clients of their own.
    (None, httpx.ConnectError, ErrorClass.CONNECTION_FAILED, "No connection to {peer}."),
    (None, httpx.NetworkError, ErrorClass.CONNECTION_RESET, _RESET),
    (None, httpx.RemoteProtocolError, ErrorClass.PROTOCOL_ERROR, "{peer} answered with something that is not HTTP."),
)
