"""Response models of the API, from which /api/openapi.json is generated.

Instants are ISO 8601 in UTC, durations are milliseconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from jobs.dependencies import Dependency
from jobs.details import Details
from jobs.reasons import ReasonCode
from jobs.runs import Attempt, ErrorClass, Outcome, Run, Severity, Trigger
from scheduler.api.models.attempt_details import DnsModel, StepModel, TlsModel
from scheduler.api.models.base import ResponseModel
from scheduler.api.models.circuits import CircuitModel
from scheduler.catalog.catalog import JobSnapshot
from scheduler.health.report import HealthReport, HealthStatus, PartHealth
from scheduler.queries.circuits import CircuitView
from scheduler.queries.jobs_and_runs import JobView
from scheduler.stores.pauses import Pause
from scheduler.stores.runs.repository import RunRecord, RunState


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

    expectation: str
    expected: str
    observed: str
    severity: Severity


class AttemptModel(ResponseModel):
    """An attempt of a run. `wait_ms`: wait before the next attempt; null for the last one.

    `body`: excerpt of the response if it caused the failure. `steps`, `tls`, `dns`: details of a check with steps, of
    one that used TLS, and of a DNS check. Attempts of versions before 0.2 have none of them.
    """

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
        )


_NO_DETAILS = Details()


class RunModel(ResponseModel):
    """A run. `state` is queued, running or finished; fields of the result are null or empty until it is finished.

    `status_code` and `response_time_ms` are those of the last attempt. `degraded`: the run succeeded, but expectations
    of severity `degraded` failed, which `message` describes.
    """

    id: str
    job: str
    trigger: Trigger
    state: RunState
    outcome: Outcome | None = None
    due_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lateness_ms: float | None = None
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
            url=run_path(ticket.id),
            **({} if run is None else _run_fields(run)),
        )


def _run_fields(run: Run) -> dict[str, Any]:
    return {
        "outcome": run.outcome,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "lateness_ms": round(run.lateness_ms, 3),
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
    """Newest first. `continuation` fetches the next page; null on the last one. A page may hold fewer than `limit`."""

    runs: list[RunModel]
    continuation: str | None


class PauseModel(ResponseModel):
    """A current pause. `until` null: until the job is resumed. `summary`: the pause as a sentence."""

    since: datetime
    until: datetime | None
    reason: str
    text: str

    @classmethod
    def from_pause(cls, pause: Pause) -> PauseModel:
        return cls(since=pause.since, until=pause.until, reason=pause.reason, text=str(pause))


class DependencyModel(ResponseModel):
    """A job that this one depends on.

    `condition`: succeeded, failed or finished. `within`, `wait`: durations such as 5m.
    """

    job: str
    condition: str
    within: str | None
    wait: str

    @classmethod
    def from_dependency(cls, dependency: Dependency) -> DependencyModel:
        return cls(**dependency.model_dump(mode="json"))


class JobSummary(ResponseModel):
    """A job in a list. `schedule` and `pause` are null without one.

    A job without a schedule runs after the jobs in `depends_on`, or only on demand. `dependents`: jobs that depend on
    it. `has_default_schedule`: the schedule comes from the setting `default_schedule`, because the flat job defines
    none. `next_at` of a paused job is after the end of its pause. `source`: the file that defines it.
    """

    name: str
    description: str
    enabled: bool
    kind: str
    endpoint: str
    schedule: str | dict[str, Any] | list[str | dict[str, Any]] | None
    has_default_schedule: bool
    depends_on: list[DependencyModel]
    dependents: list[str]
    next_at: datetime | None
    pause: PauseModel | None
    latest: RunModel | None
    origin: str
    tags: dict[str, str]
    url: str

    @classmethod
    def from_view(cls, view: JobView) -> JobSummary:
        return cls(**_job_fields(view))


class JobDetail(JobSummary):
    """A job with its full definition, its next due instants and its circuit (null without one)."""

    generation: str
    definition: dict[str, Any]
    upcoming: list[datetime]
    circuit: CircuitModel | None

    @classmethod
    def from_job_view(cls, view: JobView, upcoming: list[datetime], circuit: CircuitView | None) -> JobDetail:
        return cls(
            **_job_fields(view),
            generation=view.entry.generation,
            definition=cls.definition_json(view),
            upcoming=upcoming,
            circuit=None if circuit is None else CircuitModel.from_view(circuit),
        )

    @staticmethod
    def definition_json(view: JobView) -> dict[str, Any]:
        """Return the definition with all defaults. It contains names of secrets, never their values."""
        return view.entry.job.model_dump(mode="json", by_alias=True)


def _job_fields(view: JobView) -> dict[str, Any]:
    job = view.entry.job
    return {
        "name": job.name,
        "description": job.description,
        "enabled": job.enabled,
        "kind": job.check.kind,
        "endpoint": job.check.endpoint,
        "schedule": job.schedule.spec if job.schedule is not None else None,
        "has_default_schedule": job.has_default_schedule,
        "depends_on": [DependencyModel.from_dependency(dependency) for dependency in job.depends_on],
        "dependents": list(view.dependents),
        "next_at": view.next_at,
        "pause": PauseModel.from_pause(view.pause) if view.pause is not None else None,
        "latest": RunModel.from_record(view.latest) if view.latest is not None else None,
        "origin": view.entry.origin,
        "tags": job.tags,
        "url": f"/api/jobs/{job.name}",
    }


class JobList(ResponseModel):
    """By name. `continuation` fetches the next page; null on the last one. A page may hold fewer than `limit`."""

    jobs: list[JobSummary]
    continuation: str | None


class PartModel(ResponseModel):
    name: str
    status: HealthStatus
    message: str


class JobSetModel(ResponseModel):
    """The current jobs: when they were loaded, the digest of their files (`generation`), and their number."""

    generation: str
    loaded_at: datetime
    number: int

    @classmethod
    def from_snapshot(cls, view: JobSnapshot) -> JobSetModel:
        return cls(generation=view.digest, loaded_at=view.loaded_at, number=len(view))


class HealthModel(ResponseModel):
    """The health of the scheduler itself. `status` is the worst status of its parts."""

    status: HealthStatus
    environment: str
    version: str
    jobs: JobSetModel
    parts: list[PartModel]

    @classmethod
    def from_report(
        cls, report: HealthReport, jobs: JobSnapshot, *, environment: str, version: str, with_messages: bool = True
    ) -> HealthModel:
        """Create the model. `with_messages`: include the message of each part."""
        parts = [
            PartModel(
                name=part.name, status=part.status, message=part.message if with_messages else _message_withheld(part)
            )
            for part in report.parts
        ]
        in_force = JobSetModel.from_snapshot(jobs)
        return cls(status=report.status, environment=environment, version=version, jobs=in_force, parts=parts)


def _message_withheld(part: PartHealth) -> str:
    return "" if part.status is HealthStatus.OK else "see GET /api/status, which requires a key"


class LiveModel(ResponseModel):
    status: Literal["ok"] = "ok"
