"""The routes that list the changes of the states of jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from jobs.runs.states import JobStatus
from scheduler.api.dependencies import CallerDep, Continuation, JobName, JobParameter, Limit, ServicesDep
from scheduler.api.list_filters import KindsParameter, TagsParameter, parse_due_range, parse_job_filters
from scheduler.api.models.states.changes import ChangeListModel, ChangeModel
from scheduler.api.routing import ApiRouter
from scheduler.api.models.states.changes import ChangeListModel, ChangeModel
from scheduler.api.routes.filters import KindsParameter, TagsParameter, parse_due_range, parse_job_filters
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, JobName, JobParameter, Limit, ServicesDep
from scheduler.identity.principal import Principal
from scheduler.queries.changes import ChangeFilter, ChangeList
from scheduler.services import Services

router = ApiRouter("changes", by_tag=True)

EnteredStates = Annotated[
    list[JobStatus], Query(max_length=len(JobStatus), description="State after the change. Repeatable: any of them")
]
AtOrAfter = Annotated[
    str | None,
    Query(
        alias="from",
        max_length=50,
        description="Changes at or after this instant: ISO 8601, UTC without an offset; or a duration before now, 24h",
        examples=["2026-11-25T01:00:00Z"],
    ),
]
AtOrBefore = Annotated[
    str | None,
    Query(
        alias="to",
        max_length=50,
        description="Changes at or before this instant, in the same forms",
        examples=["2026-11-25T02:00:00Z"],
    ),
]


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
    return await _list(services, caller.principal, criteria, limit, continuation)


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
    return await _list(services, caller.principal, criteria, limit, continuation)


async def _list(
    services: Services, principal: Principal, criteria: ChangeFilter, limit: int, continuation: str | None
) -> ChangeListModel:
    page: ChangeList = await services.changes.list_changes(principal, criteria, limit=limit, continuation=continuation)
    changes = [ChangeModel.from_change(change) for change in page.changes]
    return ChangeListModel(changes=changes, continuation=page.continuation)
