"""Certificates as an observation has them, with any names and any end."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOON = datetime(2031, 1, 1, 12, tzinfo=UTC)
_KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(*names: str, subject: str = "api.example", expires: datetime = NOON) -> bytes:
    """DER, issued by Example CA."""
    builder = x509.CertificateBuilder().subject_name(_named(subject)).issuer_name(_named("Example CA"))
    builder = builder.public_key(_KEY.public_key()).serial_number(7)
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(expires)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), critical=False)
    return builder.sign(_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
