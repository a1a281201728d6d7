"""The routes of changes of states, of the entries of health documents, and of marked deployments."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Query
from pydantic import Field

from scheduler.api.parameters import (
    AtOrAfter,
    AtOrBefore,
    EnteredStates,
    KindsParameter,
    TagsParameter,
    parse_due_range,
    parse_job_filters,
)
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, JobName, JobParameter, Limit, ServicesDep
from scheduler.features.changes.markers import MAX_MARKER_TAGS, MAX_MARKER_TEXT
from scheduler.features.changes.models import (
    ChangeListModel,
    CreatedMarkerModel,
    HealthEntryListModel,
    MarkerListModel,
)
from scheduler.features.changes.queries import ChangeFilter
from scheduler.model_base import Instant, RequestModel, example

router = ApiRouter("changes", by_tag=True)


@router.read("/api/changes")
async def list_changes(
    services: ServicesDep,
    caller: CallerDep,
    job: JobParameter = None,
    kind: KindsParameter = [],  # noqa: B006 - FastAPI copies it for each request
    tag: TagsParameter = [],  # noqa: B006
    state: EnteredStates = [],  # noqa: B006
    since: AtOrAfter = None,
    until: AtOrBefore = None,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> ChangeListModel:
    """List the instants at which jobs became up, degraded, down, silent, waiting or paused, newest first.

    Filters are combined with AND. With filters a page can contain fewer changes than `limit`, even none. Only the last
    page has no continuation.
    """
    selection = parse_job_filters([], kind, tag, [], [])
    at = parse_due_range(since, until, services.clock.now())
    criteria = ChangeFilter(job, tuple(state), selection, at)
    return await services.changes.list_changes(caller.principal, criteria, limit=limit, continuation=continuation)


@router.read("/api/jobs/{name}/changes")
async def list_changes_of_job(
    services: ServicesDep,
    caller: CallerDep,
    name: JobName,
    state: EnteredStates = [],  # noqa: B006
    since: AtOrAfter = None,
    until: AtOrBefore = None,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> ChangeListModel:
    """List the changes of the state of a job, newest first. The first one of the list is its current state."""
    at = parse_due_range(since, until, services.clock.now())
    criteria = ChangeFilter(name, tuple(state), at=at)
    return await services.changes.list_changes(caller.principal, criteria, limit=limit, continuation=continuation)


@router.read("/api/jobs/{name}/health-entries")
async def list_health_entries(services: ServicesDep, caller: CallerDep, name: JobName) -> HealthEntryListModel:
    """List the entries of the health documents or rows of a job: what each reports, since when, how often it failed."""
    return await services.changes.list_health_entries(caller.principal, name, services.clock.now())


markers_router = ApiRouter("markers", by_tag=True)

_TagText = Annotated[str, Field(min_length=1, max_length=100)]
MarkedFrom = Annotated[
    str | None,
    Query(
        alias="from",
        max_length=50,
        description="Deployed at or after this instant: ISO 8601, UTC without an offset; or a duration before now, 24h",
        examples=["2026-11-25T01:00:00Z"],
    ),
]
MarkedTo = Annotated[
    str | None,
    Query(
        alias="to",
        max_length=50,
        description="Deployed at or before this instant, in the same forms",
        examples=["2026-11-25T02:00:00Z"],
    ),
]


class MarkerRequest(RequestModel):
    """`text`: what was deployed. `tags`: it concerns the jobs that have all of them; none: all jobs.

    `at` null: now. An instant without an offset is UTC; it is at most 366 days ago.
    """

    model_config = example({"text": "checkout 4ebecbce", "tags": {"team": "payments"}})

    text: Annotated[str, Field(min_length=1, max_length=MAX_MARKER_TEXT)]
    tags: Annotated[dict[_TagText, _TagText], Field(max_length=MAX_MARKER_TAGS)] = {}
    at: Instant | None = None


@markers_router.read("/api/markers")
async def list_markers(
    services: ServicesDep,
    caller: CallerDep,
    job: JobParameter = None,
    since: MarkedFrom = None,
    until: MarkedTo = None,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> MarkerListModel:
    """List the deployments that were marked, newest first. `job`: only those that concern it.

    With filters a page can contain fewer than `limit`, even none. Only the last page has no continuation.
    """
    at = parse_due_range(since, until, services.clock.now())
    return await services.markers.list_markers(caller.principal, at, job=job, limit=limit, continuation=continuation)


@markers_router.operate("/api/markers", status_code=HTTPStatus.CREATED)
async def create_marker(services: ServicesDep, caller: CallerDep, body: MarkerRequest) -> CreatedMarkerModel:
    """Mark a deployment in the charts of the jobs that it concerns.

    For a caller that is limited to tags it concerns only jobs with one of these tags.
    """
    return await services.operations.markers.create(body.text, tags=body.tags, at=body.at, caller=caller)
