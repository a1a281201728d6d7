"""Certificates for servers on loopback, good and bad, from an authority made for this test process.

    HttpTarget(tls="good")          # for 127.0.0.1, ::1 and localhost, signed by our authority
    ca_file()                       # PEM file to trust that authority
    client_context()                # ssl.SSLContext that trusts that authority alone

Kinds: good; expired (since an hour); not_yet_valid; wrong_name (signed by us, for other.example only); untrusted
(signed by an untrusted authority); self_signed (signed by itself); nameless (the same, with a subject alone); outside
(as good, for OUTSIDE alone); azure (as good, for the hosts of Azure's APIs).
"""

from __future__ import annotations

import atexit
import ipaddress
import shutil
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jobs.targets.azure_apis import API_HOSTS

TlsKind = Literal[
    "good", "expired", "not_yet_valid", "wrong_name", "untrusted", "self_signed", "nameless", "outside", "azure"
]

NAMES = ("127.0.0.1", "::1", "localhost")
AZURE = tuple(sorted({name for hosts in API_HOSTS.values() for name in (*hosts[:-1], f"*.{hosts.queues}")}))
OUTSIDE = "outside.invalid"
"""A name that only proxy.Proxy resolves."""


@cache
def authority() -> trustme.CA:
    """The authority that signs the good certificates of this process."""
    return trustme.CA()


@cache
def directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="scheduler-tls-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@cache
def ca_file() -> str:
    """Path of a PEM file with our authority's certificate."""
    path = directory() / "ca.pem"
    authority().cert_pem.write_to_path(path)
    return str(path)


def client_context() -> ssl.SSLContext:
    """Trusts our authority alone."""
    return ssl.create_default_context(cafile=ca_file())


def server_context(kind: TlsKind = "good", *, valid_for: timedelta = timedelta(days=90)) -> ssl.SSLContext:
    """A server's context that shows a certificate of this kind; `valid_for` is what is left of a good one's life."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if kind in ("self_signed", "nameless"):
        context.load_cert_chain(_self_signed(named=kind == "self_signed"))
    else:
        _issue(kind, valid_for).configure_cert(context)
    return context


def _issue(kind: TlsKind, valid_for: timedelta) -> trustme.LeafCert:
    now = datetime.now(UTC)
    names = {"wrong_name": ("other.example",), "outside": (OUTSIDE,), "azure": AZURE}.get(kind, NAMES)
    start, end = now - timedelta(days=1), now + valid_for
    if kind == "expired":
        end = now - timedelta(hours=1)
    if kind == "not_yet_valid":
        start = now + timedelta(hours=1)
    signer = trustme.CA(organization_name="Nobody") if kind == "untrusted" else authority()
    return signer.issue_cert(*names, not_before=start, not_after=end)


@cache
def _self_signed(*, named: bool) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
    )
    if named:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    path = directory() / f"self-signed-{named}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return str(path)
