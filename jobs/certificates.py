"""Certificates of targets, parsed when an expectation or the TLS check needs them. Pure.

Called by jobs.expectations and jobs.checks with the bytes of `Observation.certificates`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha1
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate as X509
    from cryptography.x509 import Name

_DAY = 86_400


class UnreadableCertificate(ValueError):
    """The bytes are not a readable X.509 certificate."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The fields of a certificate that a job can check. Both instants are aware UTC."""

    subject: str
    """The common name, or the whole name without one."""
    issuer: str
    names: tuple[str, ...]
    """The host names and IP addresses that it is valid for."""
    not_before: datetime
    not_after: datetime
    serial: str
    """The serial number, hexadecimal digits in upper case."""
    thumbprint: str
    """The SHA-1 digest, hexadecimal digits in upper case: what Azure calls it by."""

    def seconds_left(self, now: datetime) -> float:
        """Return the seconds until it expires; negative after that."""
        return (self.not_after - now).total_seconds()

    def days_left(self, now: datetime) -> int:
        """Return the whole days until it expires, rounded down; negative after that."""
        return int(self.seconds_left(now) // _DAY)


def preload_certificate_reader() -> None:
    """Import the library that reads certificates."""
    from cryptography import x509  # noqa: F401


def read_certificate(der: bytes) -> Certificate:
    """Parse a certificate in DER. Raises UnreadableCertificate."""
    from cryptography import x509

    try:
        read = x509.load_der_x509_certificate(der)
        return Certificate(
            subject=_common_name(read.subject),
            issuer=_common_name(read.issuer),
            names=tuple(_names(read)),
            not_before=read.not_valid_before_utc,
            not_after=read.not_valid_after_utc,
            serial=f"{read.serial_number:X}",
            thumbprint=sha1(der, usedforsecurity=False).hexdigest().upper(),
        )
    except (ValueError, x509.DuplicateExtension) as error:
        raise UnreadableCertificate(f"{type(error).__name__}") from None


def _common_name(name: Name) -> str:
    from cryptography.x509.oid import NameOID

    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()


def _names(read: X509) -> Iterator[str]:
    from cryptography import x509

    try:
        alternative = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for one in alternative:
        if isinstance(one, (x509.DNSName, x509.IPAddress)):
            yield str(one.value)
