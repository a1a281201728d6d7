"""The answers of the API as models: what stands in /api/openapi.json is what is sent.

Instants are ISO 8601 in UTC, durations are milliseconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel

from jobs.runs import Attempt, Outcome, Run
from scheduler.health import HealthReport, Status
from scheduler.queries import JobView
from scheduler.stores.runs import Record, RunState


def run_path(run_id: str) -> str:
    """Where a run is found."""
    return f"/api/runs/{quote(run_id, safe='@')}"


class PhasesModel(BaseModel):
    """Milliseconds a phase took; null where it did not happen."""

    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    first_byte_ms: float | None
    total_ms: float


class FailureModel(BaseModel):
    """An expectation that did not hold."""

    expectation: str
    expected: str
    observed: str


class AttemptModel(BaseModel):
    """One try of a run. `wait_ms`: the wait before the next one."""

    number: int
    started_at: datetime
    status: int | None
    error: str | None
    message: str
    phases: PhasesModel
    failures: list[FailureModel]
    wait_ms: float | None

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptModel:
        phases = attempt.phases
        return cls(
            number=attempt.number,
            started_at=attempt.started_at,
            status=attempt.status,
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
                FailureModel(expectation=f.expectation, expected=f.expected, observed=f.observed)
                for f in attempt.failures
            ],
            wait_ms=attempt.wait_ms,
        )


class RunSummary(BaseModel):
    """A run in a list. `state` is queued, running or finished; the rest is null until it is known."""

    id: str
    job: str
    trigger: str
    state: RunState
    outcome: Outcome | None = None
    due_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lateness_ms: float | None = None
    duration_ms: float | None = None
    response_time_ms: float | None = None
    status: int | None = None
    attempts: int = 0
    retried: bool = False
    error: str | None = None
    message: str = ""
    url: str

    @classmethod
    def of(cls, record: Record) -> RunSummary:
        return cls(**_summary(record))


class RunDetail(RunSummary):
    """A run with all its attempts."""

    endpoint: str = ""
    generation: str = ""
    correlation_id: str = ""
    tags: dict[str, str] = {}
    tries: list[AttemptModel] = []

    @classmethod
    def of(cls, record: Record) -> RunDetail:
        run = record.run
        if run is None:
            ticket = record.ticket
            return cls(**_summary(record), generation=ticket.generation, correlation_id=ticket.correlation_id)
        return cls(
            **_summary(record),
            endpoint=run.endpoint,
            generation=run.generation,
            correlation_id=run.correlation_id,
            tags=dict(run.tags),
            tries=[AttemptModel.of(attempt) for attempt in run.attempts],
        )


def _summary(record: Record) -> dict[str, Any]:
    ticket = record.ticket
    known: dict[str, Any] = {
        "id": ticket.id,
        "job": ticket.job,
        "trigger": ticket.trigger,
        "state": record.state,
        "due_at": ticket.due_at,
        "url": run_path(ticket.id),
    }
    return known if record.run is None else known | _result(record.run)


def _result(run: Run) -> dict[str, Any]:
    return {
        "outcome": run.outcome,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "lateness_ms": round(run.lateness_ms, 3),
        "duration_ms": round(run.duration_ms, 3),
        "response_time_ms": run.response_time_ms,
        "status": run.status,
        "attempts": len(run.attempts),
        "retried": run.retried,
        "error": run.error,
        "message": run.message,
    }


class RunList(BaseModel):
    """Newest first. `continuation` fetches the next page; null on the last one. A page may hold fewer than `limit`."""

    runs: list[RunSummary]
    continuation: str | None


class JobSummary(BaseModel):
    """A job in a list. `schedule` is null for a job that runs on demand only."""

    name: str
    description: str
    enabled: bool
    kind: str
    endpoint: str
    schedule: str | dict[str, Any] | None
    next_at: datetime | None
    latest: RunSummary | None
    origin: str
    tags: dict[str, str]
    url: str

    @classmethod
    def of(cls, view: JobView) -> JobSummary:
        return cls(**_job(view))


class JobDetail(JobSummary):
    """A job with its whole definition and its next due instants."""

    generation: str
    definition: dict[str, Any]
    upcoming: list[datetime]

    @classmethod
    def of_job(cls, view: JobView, upcoming: list[datetime]) -> JobDetail:
        definition = view.entry.job.model_dump(mode="json", by_alias=True)
        return cls(**_job(view), generation=view.entry.generation, definition=definition, upcoming=upcoming)


def _job(view: JobView) -> dict[str, Any]:
    job = view.entry.job
    return {
        "name": job.name,
        "description": job.description,
        "enabled": job.enabled,
        "kind": job.check.kind,
        "endpoint": job.check.endpoint,
        "schedule": job.schedule.spec if job.schedule is not None else None,
        "next_at": view.next_at,
        "latest": RunSummary.of(view.latest) if view.latest is not None else None,
        "origin": view.entry.origin,
        "tags": job.tags,
        "url": f"/api/jobs/{job.name}",
    }


class JobList(BaseModel):
    """By name. `continuation` fetches the next page; null on the last one."""

    jobs: list[JobSummary]
    continuation: str | None


class PartModel(BaseModel):
    name: str
    status: Status
    message: str


class HealthModel(BaseModel):
    """The scheduler's own health: the worst of its parts."""

    status: Status
    environment: str
    version: str
    parts: list[PartModel]

    @classmethod
    def of(cls, report: HealthReport, *, environment: str, version: str) -> HealthModel:
        parts = [PartModel(name=part.name, status=part.status, message=part.message) for part in report.parts]
        return cls(status=report.status, environment=environment, version=version, parts=parts)


class LiveModel(BaseModel):
    status: Literal["ok"] = "ok"
