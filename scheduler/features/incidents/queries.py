"""Reads incidents with their members, transitions and decisions, as the caller may see them.

See scheduler.features.incidents.visibility for callers that are limited to tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from jobs.formats import format_instant
from jobs.incidents.engine.announcing import describe_suppression
from jobs.incidents.values import AlertDecision, AlertKey, Incident, IncidentStatus, Member, Transition
from jobs.ports import Clock
from scheduler.catalog.catalog import Catalog, Query
from scheduler.errors import NotFound
from scheduler.features.incidents.facts import MemberFacts, MemberFactsReader
from scheduler.features.incidents.visibility import SubjectVisibility
from scheduler.features.jobs.selection import EVERY_JOB, JobSelection
from scheduler.features.statistics.periods import ANY_TIME, TimeRange
from scheduler.stores.alerting.incident_log import EntryPage, IncidentLog
from scheduler.stores.alerting.rows import reverse_id
from scheduler.stores.runs.repository import Runs

MAX_INCIDENTS_SCANNED = 1000
"""Incidents that a page reads; a page with filters can therefore hold fewer than its limit."""
_BATCH = 100
SHOWN_TRANSITIONS = 50
"""Of one incident, with the incident itself."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """`subject`: a job or a group that is or was a member. `severities`: of the incident; empty: all.

    `selection`: of jobs, by kind and tags; one that the caller sees must match. `opened`: when the first alert fired.
    """

    subject: str | None = None
    status: IncidentStatus | None = None
    severities: tuple[str, ...] = ()
    selection: JobSelection = EVERY_JOB
    opened: TimeRange = ANY_TIME


@dataclass(frozen=True, slots=True)
class IncidentView:
    """`incident`: with the members that the caller sees. `suppression`: why notifications are held back; empty if they
    are not. `handling`: who has acknowledged or snoozed it; empty if no one has.
    """

    incident: Incident
    suppression: str
    handling: str


@dataclass(frozen=True, slots=True)
class IncidentDetails:
    """`transitions`: the first ones; `continuation`: of more, empty if these are all. `facts`: about each member."""

    view: IncidentView
    transitions: tuple[Transition, ...]
    continuation: str
    facts: Mapping[AlertKey, MemberFacts]


@dataclass(frozen=True, slots=True)
class IncidentList:
    """Newest first. `continuation`: None on the last page."""

    views: tuple[IncidentView, ...]
    continuation: str | None


class IncidentQueries(Query):
    """All methods raise StoreError; those with `after` raise InvalidContinuation."""

    def __init__(self, catalog: Catalog, log: IncidentLog, runs: Runs, clock: Clock) -> None:
        self._catalog = catalog
        self._log = log
        self._facts = MemberFactsReader(catalog, runs)
        self._clock = clock

    async def list_incidents(self, criteria: IncidentFilter, *, limit: int, after: str = "") -> IncidentList:
        """Return a page, newest first. Raises UnknownJob: the subject does not exist and has no incidents."""
        visibility = SubjectVisibility(self._catalog)
        visibility.require_visible(criteria.subject)
        found: list[IncidentView] = []
        position, scanned = after, 0
        while scanned < MAX_INCIDENTS_SCANNED:
            page = await self._log.list_page(
                subject=criteria.subject,
                status=criteria.status,
                since=criteria.opened.since,
                until=criteria.opened.until,
                limit=_BATCH,
                after=position,
            )
            for incident in page.incidents:
                shown = self._match(criteria, incident, visibility)
                if shown is not None and len(found) == limit:
                    return IncidentList(tuple(found), position)
                position = reverse_id(incident.id)
                if shown is not None:
                    found.append(view_incident(shown, visibility, self._clock.now()))
            scanned += len(page.incidents)
            if not page.continuation:
                if not scanned and not after:
                    visibility.require_known(criteria.subject)
                return IncidentList(tuple(found), None)
        return IncidentList(tuple(found), position)

    async def read_version(self) -> str:
        """Return what differs after an incident has changed. A read of one row."""
        return await self._log.read_version()

    async def find(self, incident: str) -> IncidentDetails:
        """Return an incident with its first transitions and the facts about its members. Raises NotFound."""
        view = await self.find_view(incident)
        page = await self.list_transitions(incident, limit=SHOWN_TRANSITIONS)
        return IncidentDetails(view, page.entries, page.continuation, await self.read_facts(view.incident.members))

    async def find_view(self, incident: str) -> IncidentView:
        """Return an incident. Raises NotFound."""
        found, visibility = await self._get(incident)
        shown = visibility.show_incident(found)
        if shown is None:
            raise incident_not_found(incident)
        return view_incident(shown, visibility, self._clock.now())

    async def read_facts(self, members: Sequence[Member]) -> Mapping[AlertKey, MemberFacts]:
        """Return what is known about members that the caller sees, the open ones first where there are many."""
        return await self._facts.read(sorted(members, key=lambda each: each.resolved_at is not None))

    async def list_transitions(self, incident: str, *, limit: int, after: str = "") -> EntryPage[Transition]:
        """Return transitions, oldest first. A page can hold fewer than the limit. Raises NotFound."""
        found, visibility = await self._get(incident)
        hidden = visibility.hidden_names(found)
        page = await self._log.list_transitions(incident, limit=limit, after=after)
        return _show(page, lambda each: visibility.show_transition(each, hidden))

    async def list_decisions(self, incident: str, *, limit: int, after: str = "") -> EntryPage[AlertDecision]:
        """Return decisions in the same way."""
        found, visibility = await self._get(incident)
        hidden = visibility.hidden_names(found)
        page = await self._log.list_decisions(incident, limit=limit, after=after)
        return _show(page, lambda each: visibility.show_decision(each, hidden))

    async def _get(self, incident: str) -> tuple[Incident, SubjectVisibility]:
        found = await self._log.find(incident)
        visibility = SubjectVisibility(self._catalog)
        if found is None or not visibility.sees(found):
            raise incident_not_found(incident)
        return found, visibility

    def _match(self, criteria: IncidentFilter, incident: Incident, visibility: SubjectVisibility) -> Incident | None:
        shown = visibility.show_incident(incident)
        if shown is None or (criteria.severities and shown.severity not in criteria.severities):
            return None
        if criteria.selection.is_empty:
            return shown
        return shown if any(self._selects(criteria.selection, member.key) for member in shown.members) else None

    def _selects(self, selection: JobSelection, key: AlertKey) -> bool:
        entry = self._catalog.find_job(key.subject)
        if entry is not None:
            return selection.matches_definition(entry.job)
        alerting = self._catalog.snapshot.alerting
        group = alerting.groups.get(key.subject) or alerting.alerted_objectives.get(key.subject)
        if group is None or selection.kinds:
            return False
        return all(tag.key in group.tags and tag.value in (None, group.tags[tag.key]) for tag in selection.tags)


def view_incident(incident: Incident, visibility: SubjectVisibility, now: datetime) -> IncidentView:
    """Return what is shown of an incident that the caller sees, in words."""
    suppression = incident.suppression
    is_held_back = incident.is_open and suppression is not None
    held_back = f"held back by {describe_suppression(suppression)}" if is_held_back and suppression else ""
    return IncidentView(incident, visibility.hide(held_back), _describe_handling(incident, now))


def _describe_handling(incident: Incident, now: datetime) -> str:
    """Return a clause such as `acknowledged by entra:ada at 2026-11-28 03:04:05Z`."""
    by = incident.acknowledged_by
    if incident.snoozed_until is not None:
        is_over = " (over)" if incident.snoozed_until <= now else ""
        return f"snoozed by {by} until {format_instant(incident.snoozed_until)}{is_over}"
    if by and incident.acknowledged_at is not None:
        return f"acknowledged by {by} at {format_instant(incident.acknowledged_at)}"
    return ""


def incident_not_found(incident: str) -> NotFound:
    return NotFound(f"there is no incident {incident!r}: the id is wrong, or the retention has removed it")


def _show(page: EntryPage[_T], show: Callable[[_T], _T | None]) -> EntryPage[_T]:
    shown = (show(each) for each in page.entries)
    return EntryPage(tuple(each for each in shown if each is not None), page.continuation)
