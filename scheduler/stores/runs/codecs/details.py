"""The details of an attempt as parts of its stored text and back. Used by runs.codec.

They are lists by position, because names would be repeated in every row. Positions are only ever appended: a reader
ignores unknown ones and reads missing ones as None. Instants are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.runs.details import CertificateDetail, Details, DnsDetail, StepDetail, StepOutcome, TlsDetail
from scheduler.stores.runs.codecs.health import decode_health, encode_health

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def encode_details(details: Details) -> dict[str, Any]:
    """Return the keys `steps`, `tls`, `dns` and `health` of an attempt, if it has these details."""
    body: dict[str, Any] = {}
    if details.steps:
        body["steps"] = [_step_parts(step) for step in details.steps]
    if details.tls is not None:
        body["tls"] = _tls_parts(details.tls)
    if details.dns is not None:
        dns = details.dns
        body["dns"] = [dns.rcode, dns.server, dns.ttl_s, list(dns.records), dns.record_count]
    if details.health is not None:
        body["health"] = encode_health(details.health)
    return body


def decode_details(attempt: Mapping[str, Any]) -> Details | None:
    """Return None if the attempt has none, as in the rows of version 0.1.0."""
    steps, tls, dns, health = (attempt.get(key) for key in ("steps", "tls", "dns", "health"))
    if steps is None and tls is None and dns is None and health is None:
        return None
    return Details(
        steps=tuple(map(_read_step, steps or ())),
        tls=None if tls is None else _read_tls(tls),
        dns=None if dns is None else _read_dns(dns),
        health=None if health is None else decode_health(health),
    )


def _step_parts(step: StepDetail) -> list[Any]:
    parts: list[Any] = [step.name, step.status, round(step.took_ms, 3)]
    more = [step.outcome.value, step.error, 1] if step.cleanup else [step.outcome.value, step.error]
    return parts if step.outcome is StepOutcome.SUCCEEDED and not step.cleanup else [*parts, *more]


def _read_step(parts: Sequence[Any]) -> StepDetail:
    name, status, took_ms, outcome, error, cleanup, *_ = [*parts, None, None, None]
    return StepDetail(name, status, took_ms, _step_outcome(outcome), error or "", bool(cleanup))


def _step_outcome(name: str | None) -> StepOutcome:
    """Read an outcome of a newer version as `failed`."""
    try:
        return StepOutcome.SUCCEEDED if name is None else StepOutcome(name)
    except ValueError:
        return StepOutcome.FAILED


def _tls_parts(tls: TlsDetail) -> list[Any]:
    certificate = tls.certificate
    if certificate is None:
        return [tls.version]
    names = list(certificate.names)
    # Most certificates have their subject among their names, as the first one.
    subject = None if names[:1] == [certificate.subject] else certificate.subject
    expires = (certificate.expires_at - _EPOCH) // _SECOND
    parts = [tls.version, expires, certificate.issuer, names, subject]
    return parts if certificate.name_count == len(names) else [*parts, certificate.name_count]


def _read_tls(parts: Sequence[Any]) -> TlsDetail:
    version = parts[0]
    if len(parts) == 1:
        return TlsDetail(version)
    expires, issuer, names, subject, count, *_ = [*parts[1:], None]
    certificate = CertificateDetail(
        subject=names[0] if subject is None else subject,
        issuer=issuer,
        names=tuple(names),
        name_count=len(names) if count is None else count,
        expires_at=_EPOCH + expires * _SECOND,
    )
    return TlsDetail(version, certificate)


def _read_dns(parts: Sequence[Any]) -> DnsDetail:
    rcode, server, ttl_s, records, count, *_ = parts
    return DnsDetail(rcode, tuple(records), count, ttl_s, server)
