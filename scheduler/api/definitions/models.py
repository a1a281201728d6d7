"""Responses about definitions that are not saved."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobs.definition import JobDefinition
from jobs.problems import Problem
from jobs.schedules import TimeZone, zone_of
from scheduler.api.model_base import ResponseModel, example_values
from scheduler.api.problems import MAX_LISTED_FINDINGS
from scheduler.queries.definitions import DefinitionReview


class FindingModel(ResponseModel):
    """Something in the document. `path`: of the key, such as `jobs.checkout-api.check.url`. `line`: from 1."""

    model_config = example_values(
        path="jobs.checkout-api.retires", message="unknown key", hint="did you mean retry?", line=4
    )

    path: str
    message: str
    hint: str | None
    line: int | None

    @classmethod
    def from_problem(cls, problem: Problem) -> FindingModel:
        return cls(path=problem.key, message=problem.message, hint=problem.hint or None, line=problem.line)


class DeniedTargetModel(ResponseModel):
    """A job whose target the settings do not allow."""

    job: str
    reason: str


class ReviewedJobModel(ResponseModel):
    """A valid job. `definition`: the full form with all defaults."""

    model_config = example_values(kind="http")

    name: str
    kind: str
    endpoint: str
    generation: str
    definition: dict[str, Any]

    @classmethod
    def from_job(cls, job: JobDefinition) -> ReviewedJobModel:
        return cls(
            name=job.name,
            kind=job.check.kind,
            endpoint=job.check.endpoint,
            generation=job.generation(),
            definition=job.to_json(),
        )


class DefinitionReviewModel(ResponseModel):
    """`valid`: there are no `problems`. `jobs`: the valid ones. Nothing is saved.

    `denied_targets` and `unavailable_secrets` would let runs fail with the current settings.
    """

    model_config = example_values(valid=True, problems=[], warnings=[], denied_targets=[], unavailable_secrets=[])

    valid: bool
    problems: list[FindingModel]
    warnings: list[FindingModel]
    denied_targets: list[DeniedTargetModel]
    unavailable_secrets: list[FindingModel]
    jobs: list[ReviewedJobModel]

    @classmethod
    def from_review(cls, review: DefinitionReview) -> DefinitionReviewModel:
        return cls(
            valid=not review.problems,
            problems=_findings(review.problems),
            warnings=_findings(review.warnings),
            denied_targets=[DeniedTargetModel(job=job, reason=reason) for job, reason in review.denied_targets.items()],
            unavailable_secrets=_findings(review.unavailable_secrets),
            jobs=[ReviewedJobModel.from_job(job) for job in review.jobs.values()],
        )


class DueInstantModel(ResponseModel):
    """`local`: the same instant with the offset of the schedule's time zone."""

    model_config = example_values(utc="2026-11-28T09:00:00Z", local="2026-11-28T10:00:00+01:00")

    utc: datetime
    local: str

    @classmethod
    def from_instant(cls, instant: datetime, zone: TimeZone | None) -> DueInstantModel:
        return cls(utc=instant, local=_format_local(instant, zone))


class DueInstantsModel(ResponseModel):
    """The next due instants of a job; none if it is disabled or has no schedule."""

    model_config = example_values(enabled=True, timezone="Europe/Berlin")

    job: str
    enabled: bool
    schedule: str | None
    timezone: str
    instants: list[DueInstantModel]

    @classmethod
    def from_instants(cls, job: JobDefinition, instants: list[datetime]) -> DueInstantsModel:
        zone = None if job.schedule is None else zone_of(job.schedule)
        return cls(
            job=job.name,
            enabled=job.enabled,
            schedule=None if job.schedule is None else job.schedule.text,
            timezone="UTC" if zone is None else zone.name,
            instants=[DueInstantModel.from_instant(instant, zone) for instant in instants],
        )


def _findings(problems: tuple[Problem, ...]) -> list[FindingModel]:
    return [FindingModel.from_problem(problem) for problem in problems[:MAX_LISTED_FINDINGS]]


def _format_local(instant: datetime, zone: TimeZone | None) -> str:
    try:
        local = instant if zone is None else instant.astimezone(zone.info)
    except OverflowError:  # the calendar of the zone has no such date
        local = instant
    return local.isoformat(timespec="milliseconds" if local.microsecond else "seconds")
