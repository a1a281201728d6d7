"""The page of all incidents at /api/dashboard/incidents: the open ones, then those that are resolved.

Registered by scheduler.api.dashboard.pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import Field

from jobs.incidents.values import IncidentStatus
from scheduler.api.dashboard.incidents.filters import IncidentFilters, parse_filters
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import INCIDENTS_PATH
from scheduler.api.dashboard.rendering.preferences import find_preferences
from scheduler.api.routing import ApiRouter, Continuation, ServicesDep
from scheduler.catalog.catalog import UnknownJob
from scheduler.queries.alerting.incidents import IncidentFilter, IncidentList, IncidentView
from scheduler.services import Services

MAX_OPEN_SHOWN = 100
RESOLVED_PER_PAGE = 25
_EMPTY = IncidentList((), None)

router = ApiRouter(in_schema=False, by_tag=True)

_Text = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True, slots=True)
class ListedIncidents:
    """`is_cut`: more incidents are open than shown. `last_end`: of the newest ones that are resolved, if any is."""

    open: tuple[IncidentView, ...]
    is_cut: bool
    resolved: tuple[IncidentView, ...]
    continuation: str | None
    last_end: datetime | None


@router.read(INCIDENTS_PATH)
async def show_incidents(
    request: Request,
    uses: ServicesDep,
    status: _Text = "",
    severity: Annotated[list[Annotated[str, Field(max_length=100)]], Query(max_length=20)] = [],  # noqa: B006
    job: _Text = "",
    tag: _Text = "",
    since: Annotated[str, Query(alias="from", max_length=50)] = "",
    until: Annotated[str, Query(alias="to", max_length=50)] = "",
    continuation: Continuation = None,
) -> Response:
    """Show the page; with a continuation it lists older resolved incidents only."""
    severities = tuple(each for each in severity if each)
    filters = IncidentFilters(status, severities, job.strip(), tag.strip(), since.strip(), until.strip())
    parsed = parse_filters(filters, uses.clock.now(), find_preferences(request).zone)
    problems = list(parsed.problems)
    try:
        found = await _read(uses, parsed.criteria, continuation)
    except UnknownJob as error:
        problems.append(str(error))
        found = ListedIncidents((), False, (), None, None)
    undelivered = await uses.incident_reports.find_undelivered() if found.open or found.resolved else {}
    return await respond(
        request,
        uses,
        "incidents.html",
        page="incidents",
        filters=filters,
        problems=problems,
        found=found,
        older=continuation is not None,
        query=filters.query,
        severities=list(uses.catalog.snapshot.alerting.severities)[::-1],
        subjects=_list_subjects(uses),
        undelivered=undelivered,
    )


async def _read(uses: Services, criteria: IncidentFilter, continuation: str | None) -> ListedIncidents:
    async def list_open() -> IncidentList:
        if criteria.status is IncidentStatus.RESOLVED or continuation is not None:
            return _EMPTY
        chosen = replace(criteria, status=IncidentStatus.OPEN)
        return await uses.incidents.list_incidents(chosen, limit=MAX_OPEN_SHOWN)

    async def list_resolved() -> IncidentList:
        if criteria.status is IncidentStatus.OPEN:
            return _EMPTY
        chosen = replace(criteria, status=IncidentStatus.RESOLVED)
        return await uses.incidents.list_incidents(chosen, limit=RESOLVED_PER_PAGE, after=continuation or "")

    found, resolved = await asyncio.gather(list_open(), list_resolved())
    ranks = {name: each.rank for name, each in uses.catalog.snapshot.alerting.severities.items()}
    return ListedIncidents(
        # The highest severity first, then the newest.
        tuple(sorted(found.views, key=lambda view: -ranks.get(view.incident.severity, 0))),
        found.continuation is not None,
        resolved.views,
        resolved.continuation,
        max((view.incident.resolved_at for view in resolved.views if view.incident.resolved_at), default=None),
    )


def _list_subjects(uses: Services) -> Sequence[str]:
    """Return the groups, which the field of the filter suggests. Names of jobs are found by the palette."""
    return sorted(uses.catalog.snapshot.alerting.groups) if not uses.is_limited else ()
