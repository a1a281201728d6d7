"""Entries about the connection: version of HTTP, TLS and its version, validity of the certificate."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from jobs.certificates import UnreadableCertificate, read_certificate
from jobs.expectations.entry import ExpectationEntry, Feature, JudgedAnswer
from jobs.formats import format_duration
from jobs.model_base import Duration

_DAY = 86_400
_NAME = re.compile(r"(?:HTTP/|TLSV?)?([0-9])(?:\.([0-9]))?", re.IGNORECASE)


def _read_version(value: Any) -> str:
    """Normalize a version: `HTTP/2.0`, `http/2` and `2` are equal; so are `TLSv1.3`, `TLS1.3` and `1.3`."""
    found = _NAME.fullmatch(str(value).strip())
    if found is None or isinstance(value, bool):
        raise ValueError(f"{str(value)[:20]!r} is not a version: write it like HTTP/1.1, HTTP/2 or TLSv1.3")
    return f"{found[1]}.{found[2] or 0}"


def _read_versions(value: Any) -> Any:
    return tuple(map(_read_version, value if isinstance(value, (list, tuple)) else [value]))


_VersionInput = Annotated[str, Field(pattern=r"^\s*([hH][tT][tT][pP]/|[tT][lL][sS][vV]?)?[0-9](\.[0-9])?\s*$")] | float
_Versions = Annotated[
    tuple[str, ...],
    BeforeValidator(_read_versions, json_schema_input_type=_VersionInput | tuple[_VersionInput, ...]),
    Field(min_length=1, max_length=10),
]


def _join_versions(prefix: str, versions: tuple[str, ...]) -> str:
    return " or ".join(prefix + version for version in versions)


def _find_wrong_version(allowed: tuple[str, ...], fact: Any, answer: JudgedAnswer) -> str | None:
    if isinstance(fact, str) and _NAME.fullmatch(fact) and _read_version(fact) in allowed:
        return None
    return "unknown" if fact is None else answer.quote_text(str(fact))


class HttpVersionEntry(ExpectationEntry):
    """The answer has one of these versions of HTTP: `HTTP/2`, or `[HTTP/1.1, HTTP/2]`."""

    needs: ClassVar = Feature.HTTP_RESPONSE

    http_version: _Versions

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return _join_versions("HTTP/", self.http_version)

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        return _find_wrong_version(self.http_version, answer.observation.facts.get("http_version"), answer)


class TlsVersionEntry(ExpectationEntry):
    """The connection uses one of these versions of TLS: `TLSv1.3`, or `[TLSv1.2, TLSv1.3]`."""

    needs: ClassVar = Feature.CONNECTION

    tls_version: _Versions

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return _join_versions("TLSv", self.tls_version)

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        version = answer.observation.facts.get("tls_version")
        if version is None and not answer.observation.certificates:
            return "no TLS"
        return _find_wrong_version(self.tls_version, version, answer)


class TlsEntry(ExpectationEntry):
    """Whether the connection of the answer, after redirects, is encrypted: `{tls: required}` or `{tls: absent}`."""

    needs: ClassVar = Feature.OPTIONAL_TLS

    tls: Literal["required", "absent"]

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return "TLS" if self.tls == "required" else "no TLS"

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        encrypted = bool(answer.observation.certificates) or answer.observation.facts.get("tls_version") is not None
        if encrypted is (self.tls == "required"):
            return None
        return "TLS" if encrypted else "no TLS"


class CertificateValidForEntry(ExpectationEntry):
    """The certificate is valid for at least this long from now."""

    needs: ClassVar = Feature.CERTIFICATE

    certificate_valid_for: Annotated[Duration, Field(gt=0)]

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return f"at least {format_duration(self.certificate_valid_for)}"

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        if not answer.observation.certificates:
            return "no certificate"
        try:
            certificate = read_certificate(answer.observation.certificates[0])
        except UnreadableCertificate:
            return "a certificate that cannot be read"
        remaining = certificate.seconds_left(answer.now)
        if remaining >= self.certificate_valid_for:
            return None
        return _format_remaining(remaining, f"{certificate.not_after:%Y-%m-%d %H:%M} UTC")


def _format_remaining(seconds: float, end: str) -> str:
    if seconds < 0:
        return f"expired on {end}"
    days, hours = divmod(int(seconds) // 3600, 24)
    return f"{days}d {hours}h (until {end})" if days else f"{hours}h {int(seconds) % 3600 // 60}m (until {end})"
