"""The routes for definitions that are not saved, for the JSON schema of job files, and for the export as a job file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from functools import cache, partial
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any, Final

from fastapi import Query
from starlette.responses import StreamingResponse

from jobs.definition import JobDefinition
from jobs.formats import parse_instant
from jobs.problems import Problem
from jobs.schedules import TimeZone, zone_of
from scheduler.api.declared_routes import JSON_TYPE
from scheduler.api.definition_requests import MAX_DOCUMENT_BYTES, YAML_TYPE, DefinitionBodyDep
from scheduler.api.description.headers import describe_body
from scheduler.api.parameters import KindsParameter, NamesParameter, StatesParameter, TagsParameter, parse_job_filters
from scheduler.api.problems import MAX_LISTED_FINDINGS, InvalidInput, UnusableValue, describe_problem
from scheduler.api.routing import ApiRouter, CallerDep, ServicesDep
from scheduler.features.jobs.definitions import (
    DefinitionReview,
    JobFileFormat,
    minimal_definition,
    write_job_file,
    written_definition,
)
from scheduler.features.jobs.queries import next_due_instants
from scheduler.features.runs.models import RunModel, view_run
from scheduler.identity.literals import show_definition
from scheduler.model_base import ResponseModel, example_values
from scheduler.turns import SharedTurns


class FindingModel(ResponseModel):
    """Something in the document. `path`: of the key, such as `jobs.checkout-api.check.url`. `line`: from 1."""

    model_config = example_values(
        path="jobs.checkout-api.retires", message="unknown key", hint="did you mean retry?", line=4
    )

    path: str
    message: str
    hint: str | None
    line: int | None


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


class DueInstantModel(ResponseModel):
    """`local`: the same instant with the offset of the schedule's time zone."""

    model_config = example_values(utc="2026-11-28T09:00:00Z", local="2026-11-28T10:00:00+01:00")

    utc: datetime
    local: str


class DueInstantsModel(ResponseModel):
    """The next due instants of a job; none if it is disabled or has no schedule."""

    model_config = example_values(enabled=True, timezone="Europe/Berlin")

    job: str
    enabled: bool
    schedule: str | None
    timezone: str
    instants: list[DueInstantModel]


def _view_review(review: DefinitionReview) -> DefinitionReviewModel:
    return DefinitionReviewModel(
        valid=not review.problems,
        problems=_view_findings(review.problems),
        warnings=_view_findings(review.warnings),
        denied_targets=[DeniedTargetModel(job=job, reason=reason) for job, reason in review.denied_targets.items()],
        unavailable_secrets=_view_findings(review.unavailable_secrets),
        jobs=[_view_job(job) for job in review.jobs.values()],
    )


def _view_findings(problems: tuple[Problem, ...]) -> list[FindingModel]:
    return [
        FindingModel.from_object(problem, path=problem.key, hint=problem.hint or None)
        for problem in problems[:MAX_LISTED_FINDINGS]
    ]


def _view_job(job: JobDefinition) -> ReviewedJobModel:
    return ReviewedJobModel.from_object(
        job, kind=job.check.kind, endpoint=job.check.endpoint, generation=job.generation(), definition=job.to_json()
    )


def _view_instants(job: JobDefinition, instants: list[datetime]) -> DueInstantsModel:
    zone = None if job.schedule is None else zone_of(job.schedule)
    return DueInstantsModel.from_object(
        job,
        job=job.name,
        schedule=None if job.schedule is None else job.schedule.text,
        timezone="UTC" if zone is None else zone.name,
        instants=[DueInstantModel(utc=instant, local=_format_local(instant, zone)) for instant in instants],
    )


def _format_local(instant: datetime, zone: TimeZone | None) -> str:
    try:
        local = instant if zone is None else instant.astimezone(zone.info)
    except OverflowError:  # the calendar of the zone has no such date
        local = instant
    return local.isoformat(timespec="milliseconds" if local.microsecond else "seconds")


router = ApiRouter("definitions", by_tag=True)

_MAX_INSTANTS: Final = 100
_MAX_PROBLEMS: Final = 20
"""Problems that a response lists and its detail names."""

_EXAMPLE: Final[dict[str, Any]] = {
    "jobs": {
        "checkout-api": {
            "schedule": {"cron": "0 30 2 * * *", "timezone": "Europe/Berlin"},
            "check": {"url": "https://checkout.example.com/health"},
        }
    }
}
_ONE_JOB_EXAMPLE: Final[dict[str, Any]] = {"name": "checkout-api", **_EXAMPLE["jobs"]["checkout-api"]}


def _describe_document(example: dict[str, Any], description: str) -> dict[str, Any]:
    return describe_body({JSON_TYPE: example, YAML_TYPE: "jobs: {}"}, description)


_DOCUMENT: Final = _describe_document(_EXAMPLE, "One job with its name, or a document as a job file; see docs/jobs.md")
_ONE_JOB: Final = _describe_document(_ONE_JOB_EXAMPLE, "A document with one job, in the full or in the flat form")
_TEST_RUN: Final = _describe_document(
    {"name": "checkout-api", "check": {"url": "http://127.0.0.1:8080/health"}, "retry": {"attempts": 1}},
    "A document with one job, in the full or in the flat form",
)


@router.read(
    "/api/definitions/validate",
    method="POST",
    accepts=(JSON_TYPE, YAML_TYPE),
    max_body=MAX_DOCUMENT_BYTES,
    openapi_extra=_DOCUMENT,
)
async def validate_definitions(services: ServicesDep, document: DefinitionBodyDep) -> DefinitionReviewModel:
    """Validate a definition or a whole job file by the rules of job files, without saving it.

    The response is 200 for an invalid document, too: `problems` contains everything that is wrong, with the lines of a
    YAML document. Jobs in force can be referred to.
    """
    review = await services.definitions.review(document.content, is_json=document.is_json, catalog=services.catalog)
    return _view_review(review)


@router.read(
    "/api/definitions/next",
    method="POST",
    accepts=(JSON_TYPE, YAML_TYPE),
    max_body=MAX_DOCUMENT_BYTES,
    openapi_extra=_ONE_JOB,
)
async def preview_instants(
    services: ServicesDep,
    document: DefinitionBodyDep,
    count: Annotated[int, Query(ge=1, le=_MAX_INSTANTS, description="Maximum number of instants")] = 10,
    start: Annotated[
        str | None,
        Query(
            alias="from",
            max_length=50,
            description="Only instants after this one: ISO 8601, UTC without an offset; default: now",
        ),
    ] = None,
) -> DueInstantsModel:
    """Return the next due instants of a definition that is not saved, in UTC and in the time zone of its schedule."""
    after = services.clock.now() if start is None else _parse_start(start)
    review = await services.definitions.read(document.content, is_json=document.is_json, catalog=services.catalog)
    job = _only_job(review)
    if job.schedule is None or not job.enabled:
        return _view_instants(job, [])
    instants = await asyncio.to_thread(next_due_instants, job.schedule, after, count)
    return _view_instants(job, instants)


@router.manage(
    "/api/definitions/test-run",
    method="POST",
    accepts=(JSON_TYPE, YAML_TYPE),
    max_body=MAX_DOCUMENT_BYTES,
    openapi_extra=_TEST_RUN,
    problems=(HTTPStatus.NOT_FOUND,),
)
async def run_definition(
    services: ServicesDep,
    caller: CallerDep,
    document: DefinitionBodyDep,
    store: Annotated[
        bool, Query(description="Store the run in the history of the saved job of that name; 404 without one")
    ] = False,
) -> RunModel:
    """Run the check of a definition once without saving it, and return the run with its attempts.

    Deadlines, allowed targets, secrets and retries are those of a job; the run takes at most 60 s. It is not published,
    and no circuit counts it. Without `store` it is not stored either, so its `url` does not exist.
    """
    review = await services.definitions.read(document.content, is_json=document.is_json, catalog=services.catalog)
    record = await services.operations.definition_tests.run_once(_only_job(review), caller=caller, store=store)
    return view_run(record)


def _parse_start(text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError:
        raise UnusableValue(
            InvalidInput(location="query.from", message="is not an ISO 8601 instant", hint="use 2026-11-25T01:50:30Z")
        ) from None


def _only_job(review: DefinitionReview) -> JobDefinition:
    """Raises UnusableValue: the document is invalid, or does not have exactly one job."""
    if review.problems:
        raise UnusableValue(*map(describe_problem, review.problems[:_MAX_PROBLEMS]))
    if len(review.jobs) != 1:
        raise UnusableValue(InvalidInput(location="body", message=f"has {len(review.jobs)} jobs, expected one"))
    return next(iter(review.jobs.values()))


@router.read("/api/schema/job.json")
async def get_job_schema() -> dict[str, Any]:
    """Return the JSON schema (2020-12) of one job with its name, in the full or in the flat form."""
    return _job_schema()


@router.read("/api/schema/jobs.json")
async def get_file_schema() -> dict[str, Any]:
    """Return the JSON schema of a job file, which editors use: `# yaml-language-server: $schema=jobs.schema.json`."""
    return _file_schema()


@cache
def _job_schema() -> dict[str, Any]:
    from jobs.schemas import create_job_schema

    return create_job_schema()


@cache
def _file_schema() -> dict[str, Any]:
    from jobs.schemas import create_file_schema

    return create_file_schema()


exports_router = ApiRouter("jobs", by_tag=True)

_EXPORTED_TOGETHER = 50
"""Parts of a job file that are sent together."""
_MAX_EXPORTED_JOBS = 1_000_000
_EXPORT_RESPONSES = {
    200: {
        "description": "A job file that loads unchanged",
        "content": {
            "application/yaml": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}


@exports_router.read("/api/exports/jobs", response_class=StreamingResponse, responses=_EXPORT_RESPONSES)
async def export_jobs(
    services: ServicesDep,
    caller: CallerDep,
    format: Annotated[JobFileFormat, Query(description="The format of the file")] = JobFileFormat.YAML,
    name: NamesParameter = [],  # noqa: B006 - FastAPI copies it for each request
    kind: KindsParameter = [],  # noqa: B006
    tag: TagsParameter = [],  # noqa: B006
    state: StatesParameter = [],  # noqa: B006
    expanded: Annotated[bool, Query(description="Write jobs made of a preset with what it makes")] = False,
) -> StreamingResponse:
    """Export all jobs, or those that match the filters, as a job file that loads unchanged.

    It contains the full form with the keys that differ from the defaults; in YAML the origin of each job is a comment.
    For callers below admin, `***` replaces literal credentials.
    """
    selection = parse_job_filters(name, kind, tag, state, [])
    jobs = services.queries.current_jobs()
    names, _ = await services.queries.select_names(selection, limit=_MAX_EXPORTED_JOBS)
    show = partial(show_definition, principal=caller.principal)
    entries = (entry for each in names if (entry := jobs.find_job(each)) is not None)
    parts = write_job_file(entries, format, show, minimal_definition if expanded else written_definition)
    headers = {"Content-Disposition": f'attachment; filename="jobs.{format.value}"'}
    return StreamingResponse(_read_parts(parts, services.turns), media_type=format.media_type, headers=headers)


async def _read_parts(parts: Iterator[str], turns: SharedTurns) -> AsyncIterator[str]:
    """Write on the event loop: a thread that computes would delay each step of a run until it is switched."""
    while True:
        chunk = list[str]()
        await turns.do_each(chunk.append, islice(parts, _EXPORTED_TOGETHER))
        if not chunk:
            return
        yield "".join(chunk)
