"""Messages for errors with many causes: DNS, routes, certificates, handshakes. Called by error_mapping.py. Pure."""

from __future__ import annotations

import errno
import re
import socket
from typing import Any

from jobs.checks.peer import Peer
from jobs.problems import make_printable

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
