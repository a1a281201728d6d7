"""What the tests of expectations share: entries from plain data, and answers to judge."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pydantic import TypeAdapter

from jobs.expectations import Expectation, judge
from jobs.runs import Failure, Observation, Phases

ENTRIES: TypeAdapter[tuple[Expectation, ...]] = TypeAdapter(tuple[Expectation, ...])


def entries(*expect: dict[str, Any]) -> tuple[Expectation, ...]:
    return ENTRIES.validate_python(expect)


def answer(body: str | bytes = b"", status: int = 200, total_ms: float = 10.0, **more: Any) -> Observation:
    content = body.encode() if isinstance(body, str) else body
    return Observation(Phases(total_ms=total_ms), status, body=content, **more)


def failures(observed: Observation, *expect: dict[str, Any]) -> tuple[Failure, ...]:
    return judge(observed, entries(*expect))


def failure(observed: Observation, *expect: dict[str, Any]) -> Failure:
    """The only one."""
    (one,) = failures(observed, *expect)
    return one


def certificate(not_after: datetime, name: str = "checkout.internal", *, not_before: datetime | None = None) -> bytes:
    """A self-signed certificate, DER."""
    key = _key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(not_before or not_after - timedelta(days=400))
        .not_valid_after(not_after)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())
