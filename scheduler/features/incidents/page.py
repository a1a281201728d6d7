"""The pages /api/dashboard/incidents: the open ones, then those that are resolved, with filters in the address; and the
page of an incident, to which the link of a message leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import Field

from jobs.incidents.values import IncidentStatus
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import INCIDENTS_PATH
from scheduler.api.dashboard.rendering.preferences import find_preferences
from scheduler.api.routing import ApiRouter, Continuation, ServicesDep
from scheduler.catalog.catalog import UnknownJob
from scheduler.features.incidents.queries import IncidentFilter, IncidentList, IncidentView, sort_open
from scheduler.features.incidents.report import DeliveryState
from scheduler.features.incidents.routes import IncidentId
from scheduler.features.jobs.selection import EVERY_JOB, InvalidFilter, JobSelection, parse_selection
from scheduler.features.statistics.periods import ANY_TIME, InvalidTimeRange, TimeRange, parse_time_range
from scheduler.services import Services


@dataclass(frozen=True, slots=True)
class IncidentFilters:
    """The texts that a user has entered; empty: no filter. `severity`: any of these."""

    status: str = ""
    severity: tuple[str, ...] = ()
    job: str = ""
    tag: str = ""
    since: str = ""
    until: str = ""

    @property
    def are_set(self) -> bool:
        return bool(self.job) or not self.is_only_job

    @property
    def is_only_job(self) -> bool:
        return not any((self.status, self.severity, self.tag, self.since, self.until))

    @property
    def query(self) -> str:
        """Return the query of the address, such as `?status=open`; empty without filters."""
        texts = {"status": self.status, "job": self.job, "tag": self.tag, "from": self.since, "to": self.until}
        pairs = [*texts.items(), *(("severity", each) for each in self.severity)]
        given = [pair for pair in pairs if pair[1]]
        return f"?{urlencode(given)}" if given else ""


@dataclass(frozen=True, slots=True)
class ParsedFilters:
    """`problems`: sentences about filters that are not applied."""

    criteria: IncidentFilter
    problems: tuple[str, ...] = ()


def parse_filters(filters: IncidentFilters, now: datetime, zone: tzinfo) -> ParsedFilters:
    """Return what to read. An instant without an offset is one of `zone`."""
    problems: list[str] = []
    criteria = IncidentFilter(
        filters.job or None,
        _parse_status(filters.status, problems),
        filters.severity,
        _parse_tag(filters.tag, problems),
        _parse_range(filters, now, zone, problems),
    )
    return ParsedFilters(criteria, tuple(problems))


def _parse_status(text: str, problems: list[str]) -> IncidentStatus | None:
    if text and text not in tuple(IncidentStatus):
        problems.append("status: expected open or resolved")
        return None
    return IncidentStatus(text) if text else None


def _parse_tag(text: str, problems: list[str]) -> JobSelection:
    try:
        return parse_selection(tags=text.split()) if text.strip() else EVERY_JOB
    except InvalidFilter as error:
        problems.append(f"tag: {error.message}; {error.hint}")
        return EVERY_JOB


def _parse_range(filters: IncidentFilters, now: datetime, zone: tzinfo, problems: list[str]) -> TimeRange:
    since, until = (_add_zone(each, zone) for each in (filters.since, filters.until))
    try:
        return parse_time_range(since or None, until or None, now)
    except InvalidTimeRange as error:
        problems.append(f"{error.end}: {error.message}; {error.hint}")
        return ANY_TIME


def _add_zone(text: str, zone: tzinfo) -> str:
    """Return an instant of the zone with its offset; any other text unchanged."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return text.strip()
    return found.replace(tzinfo=zone).isoformat() if found.tzinfo is None else text.strip()


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
    services: ServicesDep,
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
    parsed = parse_filters(filters, services.clock.now(), find_preferences(request).zone)
    problems = list(parsed.problems)
    try:
        listed = await _read(services, parsed.criteria, continuation)
    except UnknownJob as error:
        problems.append(str(error))
        listed = ListedIncidents((), False, (), None, None)
    undelivered = await services.incident_reports.find_undelivered() if listed.open or listed.resolved else {}
    return await respond(
        request,
        services,
        "incidents.html",
        page="incidents",
        filters=filters,
        problems=problems,
        listed=listed,
        older=continuation is not None,
        query=filters.query,
        severities=list(services.catalog.snapshot.alerting.severities)[::-1],
        subjects=_list_subjects(services),
        undelivered=undelivered,
    )


async def _read(services: Services, criteria: IncidentFilter, continuation: str | None) -> ListedIncidents:
    async def list_open() -> IncidentList:
        if criteria.status is IncidentStatus.RESOLVED or continuation is not None:
            return _EMPTY
        chosen = replace(criteria, status=IncidentStatus.OPEN)
        return await services.incidents.list_incidents(chosen, limit=MAX_OPEN_SHOWN)

    async def list_resolved() -> IncidentList:
        if criteria.status is IncidentStatus.OPEN:
            return _EMPTY
        chosen = replace(criteria, status=IncidentStatus.RESOLVED)
        return await services.incidents.list_incidents(chosen, limit=RESOLVED_PER_PAGE, after=continuation or "")

    opened, resolved = await asyncio.gather(list_open(), list_resolved())
    return ListedIncidents(
        tuple(sort_open(opened.views)),
        opened.continuation is not None,
        resolved.views,
        resolved.continuation,
        max((view.incident.resolved_at for view in resolved.views if view.incident.resolved_at), default=None),
    )


def _list_subjects(services: Services) -> Sequence[str]:
    """Return the groups, which the field of the filter suggests. Names of jobs are found by the palette."""
    return sorted(services.catalog.snapshot.alerting.groups) if not services.is_limited else ()


DELIVERY_WORDS: Final = {
    DeliveryState.UNDELIVERED: "not delivered",
    DeliveryState.FAILING: "failing, will retry",
    DeliveryState.WAITING: "is being sent",
    DeliveryState.DIGEST: "in the digest of",
    DeliveryState.DISCARDED: "discarded",
    DeliveryState.MOVED: "moved",
    DeliveryState.DELIVERED: "notified",
}


@router.read(f"{INCIDENTS_PATH}/{{incident_id}}")
async def show_incident(request: Request, services: ServicesDep, incident_id: IncidentId) -> Response:
    """Show the page."""
    report = await services.incident_reports.read_report(incident_id)
    incident = report.view.incident
    return await respond(
        request,
        services,
        "incident.html",
        page="incidents",
        report=report,
        incident=incident,
        delivery_words=DELIVERY_WORDS,
        tags=report.subject.tags or report.history.tags,
    )
