"""The page of a job's definition at /api/dashboard/jobs/{name}/definition: its versions, what each changed, and the
definition with all defaults. Registered by scheduler.api.dashboard.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Query, Request
from fastapi.responses import Response

from scheduler.api.dashboard.jobs.job_frame import respond_job
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.models.jobs import JobDetail
from scheduler.api.routing import ApiRouter, CallerDep, JobName, ServicesDep
from scheduler.catalog.catalog import UnknownJob
from scheduler.errors import NotFound
from scheduler.identity.principal import Caller
from scheduler.queries.overview.job_view import JobView
from scheduler.queries.stored_jobs import FieldChange, StoredJobQueries
from scheduler.stores.stored_jobs.tree import JobVersion

MAX_VERSIONS: Final = 50
"""Versions listed."""

router = ApiRouter(in_schema=False, by_tag=True)

_VersionNumber = Annotated[int | None, Query(alias="version", ge=1)]
_AgainstNumber = Annotated[int | None, Query(ge=1)]


@dataclass(frozen=True, slots=True)
class VersionHistory:
    """`number` and `against`: the two versions whose `changes` are shown; 0 without another version."""

    versions: Sequence[JobVersion]
    number: int = 0
    against: int = 0
    changes: Sequence[FieldChange] = ()


@router.read(f"{DASHBOARD_PATH}/jobs/{{name}}/definition")
async def show_definition(
    request: Request,
    uses: ServicesDep,
    caller: CallerDep,
    name: JobName,
    number: _VersionNumber = None,
    against: _AgainstNumber = None,
) -> Response:
    """Show the page. `version`, `against`: the two versions that are compared; the latest two without them."""
    view = await uses.queries.view_job(name)
    versions = await _list_versions(uses.stored_jobs, name, caller)
    return await respond_job(
        request,
        uses,
        view,
        "definition",
        history=await _compare(uses.stored_jobs, versions, (number, against), caller),
        definition=_definition_text(view, caller),
        written=uses.stored_jobs.find_declared(name, caller),
        as_json=_as_json,
    )


async def _list_versions(stored: StoredJobQueries, name: str, caller: Caller) -> Sequence[JobVersion]:
    """Return the versions, the latest first; none of a job of a file."""
    try:
        return await stored.list_versions(name, caller)
    except (NotFound, UnknownJob):
        return ()


async def _compare(
    stored: StoredJobQueries, versions: Sequence[JobVersion], given: tuple[int | None, int | None], caller: Caller
) -> VersionHistory:
    """Compare two versions: the given ones, or one with the version before it. Raises NotFound, StoreError."""
    shown = versions[:MAX_VERSIONS]
    if not versions:
        return VersionHistory(())
    number = given[0] or versions[0].number
    earlier = (version.number for version in versions if version.number < number)
    against = given[1] or next(earlier, 0)
    if not against:
        return VersionHistory(shown, number)
    changes = await stored.compare_versions(versions[0].name, number, against, caller)
    return VersionHistory(shown, number, against, changes)


def _definition_text(view: JobView, caller: Caller) -> str:
    """Return the definition as in GET /api/jobs/{name}, with secrets by name only."""
    return _as_json(JobDetail.definition_json(view, caller.principal))


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
