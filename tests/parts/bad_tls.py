"""HTTPS servers on loopback whose certificate or session is wrong, beyond the kinds of tls.py.

    async with missing_intermediate() as server:
        ... server.url, tls: {ca_file: ca_file()} ...

Certificates: missing_intermediate, expired_intermediate, signed_by_a_leaf, weak_key, ip_not_named, address_as_a_name,
name_in_subject_alone, for_clients_alone; authority_as_leaf is odd, and accepted.
Sessions: old_version, no_common_cipher, wants_client_certificate (`version` of TLS), h2_alone; good.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import warnings
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.parts.bad_answers import GOOD, HTTP_2_SETTINGS
from tests.parts.tls import authority, directory, server_context

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_LOCAL = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")))


class TlsServer:
    """Answers each request with these bytes, in a session that this context makes.

    In a thread, with Python's blocking sockets: asyncio's servers end a handshake that fails without the alert that
    real servers send.
    """

    def __init__(self, context: ssl.SSLContext, data: bytes = GOOD) -> None:
        self._context = context
        self._data = data
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._thread = threading.Thread(target=self._serve, name="bad-tls", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(2)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        try:
            with self._context.wrap_socket(connection.dup(), server_side=True) as secure:
                secure.recv(65536)
                secure.sendall(self._data)
                secure.unwrap()
        except OSError:
            # Closed with bytes of the other side unread, the connection would be reset, and the alert lost.
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


def _root() -> tuple[x509.Certificate, Key]:
    """The authority that clients of these tests trust."""
    certificate = x509.load_pem_x509_certificate(authority().cert_pem.bytes())
    key = serialization.load_pem_private_key(authority().private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return certificate, key


def _certificate(
    key: Key,
    signer: tuple[x509.Certificate, Key],
    *,
    names: tuple[x509.GeneralName, ...] = _LOCAL,
    subject: str = "127.0.0.1",
    authority_too: bool = False,
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.SERVER_AUTH,
    ends: timedelta = timedelta(days=90),
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(signer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=authority_too, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer[1].public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(signer[1], hashes.SHA256())


def _context(name: str, key: Key, *chain: x509.Certificate) -> ssl.SSLContext:
    path = Path(directory()) / f"{name}.pem"
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem + b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # so that this side takes what the other one should refuse
    context.load_cert_chain(path)
    return context


def _key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def _context_of(name: str, **options: Any) -> ssl.SSLContext:
    """One certificate, signed by the authority that is trusted."""
    key = _key()
    return _context(name, key, _certificate(key, _root(), **options))


def missing_intermediate() -> TlsServer:
    """The leaf alone, whose signer is signed by the authority."""
    key, between = _key(), _key()
    signer = _certificate(between, _root(), subject="Intermediate", authority_too=True, names=(), usage=None)
    return TlsServer(_context("missing", key, _certificate(key, (signer, between))))


def signed_by_a_leaf() -> TlsServer:
    """The whole chain, with a leaf in the place of an authority."""
    key, between = _key(), _key()
    signer = _certificate(between, _root(), subject="Leaf")
    return TlsServer(_context("by-leaf", key, _certificate(key, (signer, between)), signer))


def weak_key() -> TlsServer:
    key = rsa.generate_private_key(65537, 1024)
    return TlsServer(_context("weak-key", key, _certificate(key, _root())))


def expired_intermediate() -> TlsServer:
    key, between = _key(), _key()
    options = {"subject": "Intermediate", "authority_too": True, "names": (), "usage": None}
    signer = _certificate(between, _root(), ends=-timedelta(hours=1), **options)
    return TlsServer(_context("expired-signer", key, _certificate(key, (signer, between)), signer))


def ip_not_named() -> TlsServer:
    """For localhost by name; the URL has the address."""
    return TlsServer(_context_of("no-ip", names=(x509.DNSName("localhost"),)))


def name_in_subject_alone(name: str = "127.0.0.1") -> TlsServer:
    return TlsServer(_context_of(f"subject {name}", names=(), subject=name))


def address_as_a_name() -> TlsServer:
    """127.0.0.1 among the DNS names, where no address belongs."""
    return TlsServer(_context_of("as-name", names=(x509.DNSName("127.0.0.1"),)))


def for_clients_alone() -> TlsServer:
    return TlsServer(_context_of("clients", usage=ExtendedKeyUsageOID.CLIENT_AUTH))


def authority_as_leaf() -> TlsServer:
    return TlsServer(_context_of("authority", authority_too=True, usage=None))


def old_version() -> TlsServer:
    context = server_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return TlsServer(context)


def wants_client_certificate(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> TlsServer:
    context = server_context()
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    authority().configure_trust(context)
    return TlsServer(context)


def no_common_cipher() -> TlsServer:
    context = server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:@SECLEVEL=0")  # RSA key exchange, for which the certificate has no key
    return TlsServer(context)


def h2_alone() -> TlsServer:
    """Agrees to nothing but HTTP/2, and speaks it unasked."""
    context = server_context()
    context.set_alpn_protocols(["h2"])
    return TlsServer(context, HTTP_2_SETTINGS)


def good() -> TlsServer:
    return TlsServer(server_context())
