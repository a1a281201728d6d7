"""Response models of runs, their attempts, and the details of an attempt, such as steps or a TLS session.

Instants are ISO 8601 in UTC, durations are milliseconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

from jobs.runs import Attempt, ErrorClass, Outcome, Run, Severity, Trigger, WaitReason
from jobs.runs.details import (
    CertificateDetail,
    Details,
    DnsDetail,
    EntryEffect,
    EntryStatus,
    HealthDetail,
    ReportedEntry,
    StepDetail,
    StepOutcome,
    TlsDetail,
)
from jobs.runs.outcomes import ReasonCode
from jobs.trace_ids import format_trace_id
from scheduler.model_base import ResponseModel, example_values
from scheduler.stores.runs.repository import RunRecord, RunState


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


def run_path(run_id: str) -> str:
    """Return the URL path of a run."""
    return f"/api/runs/{quote(run_id, safe='@')}"


class PhasesModel(ResponseModel):
    """Milliseconds of each phase; null if it did not occur."""

    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    first_byte_ms: float | None
    total_ms: float


class FailureModel(ResponseModel):
    """A failed expectation. One of severity `degraded` does not fail the attempt."""

    model_config = example_values(expectation="status", expected="200", observed="503")

    expectation: str
    expected: str
    observed: str
    severity: Severity


class AttemptModel(ResponseModel):
    """An attempt of a run. `wait_ms`: wait before the next attempt; null for the last one.

    `body`: excerpt of the response if it caused the failure. `steps`, `tls`, `dns`: details of a check with steps, of
    one that used TLS, and of a DNS check. Attempts of versions before 0.2 have none of them. `health`: the health
    document that an expectation has read.
    """

    model_config = example_values(failures=[], wait_ms=None, steps=[], tls=None, dns=None, health=None)

    number: int
    started_at: datetime
    status_code: int | None
    error: ErrorClass | None
    message: str
    phases: PhasesModel
    failures: list[FailureModel]
    wait_ms: float | None
    body: str
    steps: list[StepModel]
    tls: TlsModel | None
    dns: DnsModel | None
    health: HealthDocumentModel | None

    @classmethod
    def from_attempt(cls, attempt: Attempt) -> AttemptModel:
        phases, details = attempt.phases, attempt.details or _NO_DETAILS
        return cls(
            number=attempt.number,
            started_at=attempt.started_at,
            status_code=attempt.status,
            error=attempt.error,
            message=attempt.message,
            phases=PhasesModel(
                dns_ms=phases.dns_ms,
                connect_ms=phases.connect_ms,
                tls_ms=phases.tls_ms,
                first_byte_ms=phases.first_byte_ms,
                total_ms=phases.total_ms,
            ),
            failures=[
                FailureModel(expectation=f.expectation, expected=f.expected, observed=f.observed, severity=f.severity)
                for f in attempt.failures
            ],
            wait_ms=attempt.wait_ms,
            body=attempt.body,
            steps=[StepModel.from_step(step) for step in details.steps],
            tls=None if details.tls is None else TlsModel.from_tls(details.tls, attempt.started_at),
            dns=None if details.dns is None else DnsModel.from_dns(details.dns),
            health=None if details.health is None else HealthDocumentModel.from_health(details.health),
        )


_NO_DETAILS = Details()


class WaitModel(ResponseModel):
    """What a run waited for between its due instant and its start. `detail`: such as the group, the dependency or the
    run that it waited for; empty if `reason` is enough.

    `place`: a place of the process, or a slot of a concurrency group or of all jobs. `gate`: a condition of its job:
    overlap, a dependency, the order of caught-up runs. `claim`: the store wrote its claim. `start_up`: the program
    started after the instant. `catch_up`: the instant was missed and run later. `queue`: its message was sent late, or
    waited on the queue. `starved_cpu`: the scheduler woke late.
    """

    model_config = example_values(reason="place", duration_ms=3912.5, detail="limit of concurrency group payments")

    reason: WaitReason
    duration_ms: float
    detail: str


class RunModel(ResponseModel):
    """A run. `state` is queued, running or finished; fields of the result are null or empty until it is finished.

    `status_code` and `response_time_ms` are those of the last attempt. `degraded`: the run succeeded, but expectations
    of severity `degraded` failed, which `message` describes. `trace_id`: of the trace of the run, its attempts and the
    requests that the target received, whether telemetry has published it or not. `waits`: why it started late, at most
    five, the longest first; empty if it started in time, and for runs of versions before 0.2.
    """

    model_config = example_values(
        state="finished",
        reason=None,
        lateness_ms=4.2,
        duration_ms=116.0,
        waits=[],
        response_time_ms=113.5,
        attempt_count=1,
        endpoint="https://checkout.example.com/health",
        trace_id="6f8f2a9be6d1c0d3a0b0a7d1f4b5c6e7",
        tags={"team": "payments"},
        url="/api/runs/checkout-api@20261128T090000.000Z",
    )

    id: str
    job: str
    trigger: Trigger
    state: RunState
    outcome: Outcome | None = None
    due_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lateness_ms: float | None = None
    waits: list[WaitModel] = []
    duration_ms: float | None = None
    response_time_ms: float | None = None
    status_code: int | None = None
    error: ErrorClass | None = None
    message: str = ""
    reason: ReasonCode | None = None
    attempt_count: int = 0
    retried: bool = False
    degraded: bool = False
    attempts: list[AttemptModel] = []
    endpoint: str = ""
    generation: str
    correlation_id: str
    trace_id: str
    tags: dict[str, str] = {}
    url: str

    @classmethod
    def from_record(cls, record: RunRecord) -> RunModel:
        ticket, run = record.ticket, record.run
        return cls(
            id=ticket.id,
            job=ticket.job,
            trigger=ticket.trigger,
            state=record.state,
            due_at=ticket.due_at,
            generation=ticket.generation,
            correlation_id=ticket.correlation_id,
            trace_id=format_trace_id(ticket.id),
            url=run_path(ticket.id),
            **({} if run is None else _run_fields(run)),
        )


def _run_fields(run: Run) -> dict[str, Any]:
    return {
        "outcome": run.outcome,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "lateness_ms": round(run.lateness_ms, 3),
        "waits": [
            WaitModel(reason=wait.reason, duration_ms=wait.milliseconds, detail=wait.detail) for wait in run.waits
        ],
        "duration_ms": round(run.duration_ms, 3),
        "response_time_ms": run.response_time_ms,
        "status_code": run.status,
        "error": run.error,
        "message": run.message,
        "reason": run.reason,
        "attempt_count": len(run.attempts),
        "retried": run.retried,
        "degraded": run.degraded,
        "attempts": [AttemptModel.from_attempt(attempt) for attempt in run.attempts],
        "endpoint": run.endpoint,
        "tags": dict(run.tags),
    }


class RunList(ResponseModel):
    """Newest first. `continuation` fetches the next page, null on the last. A page can contain fewer than `limit`."""

    runs: list[RunModel]
    continuation: str | None
