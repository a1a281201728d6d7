"""The routes for definitions that are not saved, and for the JSON schema of job files."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request

from jobs.definition import JobDefinition
from jobs.formats.instants import parse_instant
from scheduler.api.definitions.models import DefinitionReviewModel, DueInstantsModel
from scheduler.api.dependencies import CallerDep, ServicesDep
from scheduler.api.description.bodies import describe_body
from scheduler.api.problems import InvalidInput, UnusableValue, describe_problem
from scheduler.api.requests.body_rules import JSON_TYPE
from scheduler.api.routing import ApiRouter
from scheduler.features.runs.models import RunModel
from scheduler.queries.definitions import DefinitionReview
from scheduler.queries.jobs_and_runs import next_due_instants

router = ApiRouter("definitions", by_tag=True)

YAML_TYPE: Final = "application/yaml"
MAX_DOCUMENT_BYTES: Final = 256 * 1024
"""Bytes of about 500 jobs."""
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


class DefinitionBody:
    """The body of a request."""

    def __init__(self, content: bytes, is_json: bool) -> None:
        self.content = content
        self.is_json = is_json


async def read_document(request: Request) -> DefinitionBody:
    """Return the body. Whatever is wrong with it is a finding, not a problem of the request."""
    media_type = request.headers.get("content-type", JSON_TYPE).partition(";")[0].strip().lower()
    return DefinitionBody(await request.body(), media_type == JSON_TYPE)


DefinitionBodyDep = Annotated[DefinitionBody, Depends(read_document)]


@router.operate(
    "/api/definitions/validate",
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
    return DefinitionReviewModel.from_review(review)


@router.operate(
    "/api/definitions/next",
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
        return DueInstantsModel.from_instants(job, [])
    instants = await asyncio.to_thread(next_due_instants, job.schedule, after, count)
    return DueInstantsModel.from_instants(job, instants)


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
    return RunModel.from_record(record)


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
