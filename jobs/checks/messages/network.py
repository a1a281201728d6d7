"""Sentences for what has many reasons: DNS, routes, certificates, handshakes. Called by faults.py. Pure.

They are for somebody who is woken by them: who did what, and what to look at. They never hold more of a URL than host
and port, nor bytes that a target sent.
"""

from __future__ import annotations

import errno
import re
import socket
from typing import Any

from jobs.checks.peer import Peer
from jobs.problems import make_printable

OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""Errors that say nothing about the target."""

_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})

_UNKNOWN_NAME = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)


def describe_resource_shortage(error: Any, peer: Peer) -> str:
    return (
        f"{peer} could not be asked, because this machine lacks something for it ({make_printable(str(error.strerror))}): "
        "look at its open files, connections, addresses and memory."
    )


def describe_dns_failure(error: Any, peer: Peer) -> str:
    host = peer.host
    if error.errno == socket.EAI_AGAIN:
        return f"The DNS gave no answer about {host}: look at the app's DNS servers and at the way to them."
    if error.errno in _UNKNOWN_NAME:
        return f"The DNS knows no address of {host}: look at the spelling, the DNS zone and the app's DNS servers."
    reason = make_printable(str(error.strerror))
    return f"{host} could not be resolved ({reason}): look at the DNS zone and at the app's DNS servers."


def describe_connect_failure(error: Any, peer: Peer) -> str:
    if error.errno in _UNREACHABLE:
        return f"There is no way to {peer}: look at the routes, the VNet peering and the firewalls between."
    return f"No connection to {peer}: {make_printable(error.strerror or type(error).__name__)}."


_NOT_TRUSTED = (
    "is signed by an authority that is not trusted here: name the authority in tls.ca_file, "
    "or have the server send its whole chain"
)
_SIGNED_BY_A_LEAF = "is signed by one that may not sign others: look at the chain that the server sends"
_WEAK = "has a key that is too weak: have it issued again for a longer one, such as RSA with 2048 bits"
_OTHER_NAMES = (
    "is for other names, not for {host}: look at it and at those in the certificate, of which its subject is none"
)

# By OpenSSL's X509_V_ERR_* number.
_CERTIFICATE_REASONS = {
    2: _NOT_TRUSTED,
    9: "is not valid yet: look at its first day, and at the clocks",
    10: "has expired, or one that signed it has: renew it",
    18: "is self-signed: have an authority sign it, or name it in tls.ca_file",
    19: _NOT_TRUSTED,
    20: _NOT_TRUSTED,
    21: _NOT_TRUSTED,
    23: "has been revoked: replace it",
    24: _SIGNED_BY_A_LEAF,
    26: "is not made for servers: have one issued whose extended key usage has serverAuth",
    62: _OTHER_NAMES,
    64: _OTHER_NAMES,
    66: _WEAK,
    67: "is signed by an authority whose key is too weak: have it issued by another one",
    68: "is signed with a digest that is too weak, such as SHA-1: have it issued again",
    79: _SIGNED_BY_A_LEAF,
}


def describe_bad_certificate(error: Any, peer: Peer) -> str:
    reason = _CERTIFICATE_REASONS.get(error.verify_code)
    if reason is None:
        return f"The certificate of {peer} was not accepted: {make_printable(error.verify_message)}."
    return f"The certificate of {peer} {reason.format(host=peer.tls_name)}."


_NOT_TLS = "answered with something that is not TLS: the port seems to speak plain HTTP"
_DAMAGED = "sent something that was damaged on its way: look at what stands between"
_UNKNOWN_TO_SERVER = "does not know the name {host}"

# By OpenSSL's name of the reason.
_HANDSHAKE_REASONS = {
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "HTTP_REQUEST": _NOT_TLS,
    "UNSUPPORTED_PROTOCOL": "knows only versions of TLS that are too old to be safe",
    "TLSV1_ALERT_PROTOCOL_VERSION": "and this program know no version of TLS in common",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "refused: there is no common cipher, or it wants a client certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "wants a client certificate",
    "RECORD_LAYER_FAILURE": _DAMAGED,
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": _DAMAGED,
    "TLSV1_UNRECOGNIZED_NAME": _UNKNOWN_TO_SERVER,
    "TLSV1_ALERT_UNRECOGNIZED_NAME": _UNKNOWN_TO_SERVER,
}


def _openssl_reason(text: str) -> str:
    """OpenSSL's name of the reason, of an error that is newer than the names that Python knows."""
    found = re.search(r"\] ([\w ]+) \(_ssl", text)
    return found[1].replace(" ", "_").upper() if found else "UNKNOWN"


def describe_tls_failure(error: Any, peer: Peer) -> str:
    name = getattr(error, "reason", None) or _openssl_reason(str(error))
    reason = _HANDSHAKE_REASONS.get(name)
    if reason is None:
        return f"No TLS session: {peer} and this program could not agree ({name.replace('_', ' ').lower()})."
    return f"No TLS session: {peer} {reason.format(host=peer.tls_name)}."
