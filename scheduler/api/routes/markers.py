"""The routes that mark a deployment, and list those that were marked."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Query
from pydantic import Field

from scheduler.api.dependencies import CallerDep, Continuation, JobParameter, Limit, ServicesDep
from scheduler.api.list_filters import parse_due_range
from scheduler.api.models.markers import CreatedMarkerModel, MarkerListModel, MarkerModel
from scheduler.api.models.requests import Instant, RequestModel, example
from scheduler.api.routing import ApiRouter
from scheduler.api.model_base import Instant, RequestModel, example
from scheduler.api.models.markers import CreatedMarkerModel, MarkerListModel, MarkerModel
from scheduler.api.routes.filters import parse_due_range
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, JobParameter, Limit, ServicesDep
from scheduler.operations.markers import MAX_MARKER_TAGS, MAX_MARKER_TEXT

router = ApiRouter("markers", by_tag=True)

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


@router.read("/api/markers")
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
    page = await services.markers.list_markers(caller.principal, at, job=job, limit=limit, continuation=continuation)
    return MarkerListModel(
        markers=[MarkerModel.from_marker(each) for each in page.markers], continuation=page.continuation
    )


@router.operate("/api/markers", status_code=HTTPStatus.CREATED)
async def create_marker(services: ServicesDep, caller: CallerDep, body: MarkerRequest) -> CreatedMarkerModel:
    """Mark a deployment in the charts of the jobs that it concerns.

    For a caller that is limited to tags it concerns only jobs with one of these tags.
    """
    created = await services.operations.markers.create(body.text, tags=body.tags, at=body.at, caller=caller)
    return CreatedMarkerModel.from_created(created)
