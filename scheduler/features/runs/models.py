"""Runs, their attempts, and the details of an attempt, such as steps or a TLS session, as everything shows them.

Instants are ISO 8601 in UTC, durations are milliseconds.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from jobs.runs import Attempt, ErrorClass, Outcome, Severity, Trigger, WaitReason
from jobs.runs.details import (
    Details,
    EntryEffect,
    EntryStatus,
    HealthDetail,
    StepDetail,
    StepOutcome,
    TlsDetail,
)
from jobs.runs.outcomes import ReasonCode
from jobs.trace_ids import format_trace_id
from scheduler.model_base import ListModel, ResponseModel, example_values
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


class TlsModel(ResponseModel):
    """The TLS session of the attempt's last connection. `version`: for example TLSv1.3; empty if the
    certificate was not accepted.

    `certificate` is null if the target sent none that can be parsed.
    """

    version: str
    certificate: CertificateModel | None


class DnsModel(ResponseModel):
    """The response of a name server. `records`: at most 20 of `record_count`. `ttl_s`: the shortest TTL."""

    rcode: str
    records: list[str]
    record_count: int
    ttl_s: int | None
    server: str


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


class HealthDocumentModel(ResponseModel):
    """The health document or the rows that an expectation has read. `status`: of the whole. `entries`: at most 50 of
    `entry_count`, those that count first."""

    status: EntryStatus
    reported_status: str
    entries: list[ReportedEntryModel]
    entry_count: int


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
    document that an expectation has read. `starved`: the scheduler lacked CPU meanwhile, so the phases are unreliable.
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
    starved: bool = False


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
    five, the longest first; empty if it started in time, and for runs of versions before 0.2. `starved`: the scheduler
    lacked CPU during the last attempt, so `response_time_ms` is unreliable; percentiles and alert rules ignore it.
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
    starved: bool = False
    attempts: list[AttemptModel] = []
    endpoint: str = ""
    generation: str
    correlation_id: str
    trace_id: str
    tags: dict[str, str] = {}
    url: str


class RunList(ListModel[RunModel]):
    """Newest first. `continuation` fetches the next page, null on the last. A page can contain fewer than `limit`."""

    runs: list[RunModel]
    continuation: str | None


def view_run(record: RunRecord) -> RunModel:
    """Return a run that is queued, running or finished."""
    ticket, run = record.ticket, record.run
    if run is None:
        return RunModel(
            id=ticket.id,
            job=ticket.job,
            trigger=ticket.trigger,
            state=record.state,
            due_at=ticket.due_at,
            generation=ticket.generation,
            correlation_id=ticket.correlation_id,
            trace_id=format_trace_id(ticket.id),
            url=run_path(ticket.id),
        )
    return RunModel.from_object(
        run,
        state=record.state,
        trace_id=format_trace_id(ticket.id),
        url=run_path(ticket.id),
        generation=ticket.generation,
        correlation_id=ticket.correlation_id,
        lateness_ms=round(run.lateness_ms, 3),
        waits=[WaitModel.from_object(wait, duration_ms=wait.milliseconds) for wait in run.waits],
        duration_ms=round(run.duration_ms, 3),
        status_code=run.status,
        attempt_count=len(run.attempts),
        attempts=list(map(view_attempt, run.attempts)),
        tags=dict(run.tags),
    )


_NO_DETAILS = Details()


def view_attempt(attempt: Attempt) -> AttemptModel:
    """Return an attempt with its details."""
    details = attempt.details or _NO_DETAILS
    return AttemptModel.from_object(
        attempt,
        status_code=attempt.status,
        phases=PhasesModel.from_object(attempt.phases),
        failures=list(map(FailureModel.from_object, attempt.failures)),
        steps=list(map(_view_step, details.steps)),
        tls=None if details.tls is None else _view_tls(details.tls, attempt.started_at),
        dns=None if details.dns is None else DnsModel.from_object(details.dns),
        health=None if details.health is None else _view_health(details.health),
    )


def _view_step(step: StepDetail) -> StepModel:
    error = _read_error(step.error)
    return StepModel.from_object(step, status_code=step.status, duration_ms=step.took_ms, error=error)


def _read_error(name: str) -> ErrorClass | None:
    """Return the error class; `internal_error` for one that a newer version has added."""
    if not name:
        return None
    try:
        return ErrorClass(name)
    except ValueError:
        return ErrorClass.INTERNAL_ERROR


def _view_tls(tls: TlsDetail, at: datetime) -> TlsModel:
    shown = tls.certificate
    certificate = None if shown is None else CertificateModel.from_object(shown, days_left=shown.days_left(at))
    return TlsModel(version=tls.version, certificate=certificate)


def _view_health(health: HealthDetail) -> HealthDocumentModel:
    entries = [ReportedEntryModel.from_object(entry, reported_status=entry.word) for entry in health.entries]
    return HealthDocumentModel.from_object(health, reported_status=health.word, entries=entries)
