"""Response models of the details of an attempt: steps, TLS session, DNS records, health document."""

from __future__ import annotations

from datetime import datetime

from jobs.runs import ErrorClass
from jobs.runs.details import (
    CertificateDetail,
    DnsDetail,
    EntryEffect,
    EntryStatus,
    HealthDetail,
    ReportedEntry,
    StepDetail,
    StepOutcome,
    TlsDetail,
)
from scheduler.api.model_base import ResponseModel, example_values


class StepModel(ResponseModel):
    """A step of a check with several steps. `cleanup`: it always runs, after the other steps.

    Steps after the first failed one are not executed and not listed.
    """

    name: str
    outcome: StepOutcome
    status_code: int | None
    duration_ms: float
    error: ErrorClass | None
    cleanup: bool

    @classmethod
    def from_step(cls, step: StepDetail) -> StepModel:
        return cls(
            name=step.name,
            outcome=step.outcome,
            status_code=step.status,
            duration_ms=step.took_ms,
            error=_error_class(step.error),
            cleanup=step.cleanup,
        )


class CertificateModel(ResponseModel):
    """The target's certificate. `names`: the first five of `name_count`.

    `days_left`: whole days until it expires at the time of the attempt, negative if it had expired.
    """

    subject: str
    issuer: str
    names: list[str]
    name_count: int
    expires_at: datetime
    days_left: int

    @classmethod
    def from_certificate(cls, certificate: CertificateDetail, at: datetime) -> CertificateModel:
        return cls(
            subject=certificate.subject,
            issuer=certificate.issuer,
            names=list(certificate.names),
            name_count=certificate.name_count,
            expires_at=certificate.expires_at,
            days_left=certificate.days_left(at),
        )


class TlsModel(ResponseModel):
    """The TLS session of the attempt's last connection. `version`: for example TLSv1.3.

    `certificate` is null if the target sent none that can be parsed.
    """

    version: str
    certificate: CertificateModel | None

    @classmethod
    def from_tls(cls, tls: TlsDetail, at: datetime) -> TlsModel:
        certificate = tls.certificate
        return cls(
            version=tls.version,
            certificate=None if certificate is None else CertificateModel.from_certificate(certificate, at),
        )


class DnsModel(ResponseModel):
    """The response of a name server. `records`: at most 20 of `record_count`. `ttl_s`: the shortest TTL."""

    rcode: str
    records: list[str]
    record_count: int
    ttl_s: int | None
    server: str

    @classmethod
    def from_dns(cls, dns: DnsDetail) -> DnsModel:
        return cls(
            rcode=dns.rcode,
            records=list(dns.records),
            record_count=dns.record_count,
            ttl_s=dns.ttl_s,
            server=dns.server,
        )


class ReportedEntryModel(ResponseModel):
    """An entry of a health document. `name`: the path of a nested one. `reported_status`: as the target wrote it.

    `effect`: what it counts for the job, by the rules of the expectation: none, degraded or down. `text`: the error or
    the description. `observed`: a measured value with its unit.
    """

    model_config = example_values(name="db/primary", reported_status="DOWN", observed="")

    name: str
    status: EntryStatus
    reported_status: str
    effect: EntryEffect
    text: str
    duration_ms: float | None
    observed: str

    @classmethod
    def from_entry(cls, entry: ReportedEntry) -> ReportedEntryModel:
        return cls(
            name=entry.name,
            status=entry.status,
            reported_status=entry.word,
            effect=entry.effect,
            text=entry.text,
            duration_ms=entry.duration_ms,
            observed=entry.observed,
        )


class HealthDocumentModel(ResponseModel):
    """The health document that an expectation has read. `status`: of the whole. `entries`: at most 50 of `entry_count`,
    those that count first."""

    status: EntryStatus
    reported_status: str
    entries: list[ReportedEntryModel]
    entry_count: int

    @classmethod
    def from_health(cls, health: HealthDetail) -> HealthDocumentModel:
        return cls(
            status=health.status,
            reported_status=health.word,
            entries=[ReportedEntryModel.from_entry(entry) for entry in health.entries],
            entry_count=health.entry_count,
        )


def _error_class(name: str) -> ErrorClass | None:
    """Return the error class; `internal_error` for one that a newer version has added."""
    if not name:
        return None
    try:
        return ErrorClass(name)
    except ValueError:
        return ErrorClass.INTERNAL_ERROR
