"""Reads incidents with their members, transitions and decisions, as the caller may see them.

scheduler.features.incidents.visibility decides what a caller that is limited to tags sees.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TypeVar

from jobs.formats import format_instant
from jobs.incidents.engine.announcing import describe_suppression
from jobs.incidents.headline import count_by_severity, describe_shared, find_keeping_open, sort_members
from jobs.incidents.values import AlertDecision, AlertKey, Incident, IncidentStatus, Member, SharedCause, Transition
from jobs.ports import Clock
from scheduler.catalog.catalog import Catalog, Query
from scheduler.errors import NotFound
from scheduler.features.incidents.facts import MemberFacts, MemberFactsReader
from scheduler.features.incidents.models import (
    DecisionListModel,
    DecisionModel,
    IncidentDetail,
    IncidentListModel,
    IncidentMemberListModel,
    IncidentMemberModel,
    IncidentSummary,
    SharedCauseModel,
    SuppressionModel,
    TransitionListModel,
    TransitionModel,
)
from scheduler.features.incidents.visibility import SubjectVisibility
from scheduler.features.jobs.selection import EVERY_JOB, JobSelection
from scheduler.features.statistics.periods import ANY_TIME, TimeRange
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.alerting.rows import reverse_id
from scheduler.stores.rows import InvalidContinuation
from scheduler.stores.runs.repository import Runs

MAX_INCIDENTS_SCANNED = 1000
"""Incidents that a page reads; a page with filters can therefore hold fewer than its limit."""
_BATCH = 100
SHOWN_TRANSITIONS = SHOWN_MEMBERS = 50
"""Of one incident, with the incident itself."""
_MEMBER_POSITION = re.compile(r"(\d{1,17})~([^~]{1,200})~([^~]{1,200})~(\d{1,9})")

ModelT = TypeVar("ModelT", bound=IncidentSummary)


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
        views: list[IncidentView] = []
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
                if shown is not None and len(views) == limit:
                    return IncidentList(tuple(views), position)
                position = reverse_id(incident.id)
                if shown is not None:
                    views.append(view_incident(shown, visibility, self._clock.now()))
            scanned += len(page.incidents)
            if not page.continuation:
                if not scanned and not after:
                    visibility.require_known(criteria.subject)
                return IncidentList(tuple(views), None)
        return IncidentList(tuple(views), position)

    async def read_version(self) -> str:
        """Return what differs after an incident has changed. A read of one row."""
        return await self._log.read_version()

    async def list_summaries(self, criteria: IncidentFilter, *, limit: int, after: str = "") -> IncidentListModel:
        """Return what is shown of a page of list_incidents. Raises UnknownJob."""
        page = await self.list_incidents(criteria, limit=limit, after=after)
        summaries = [summarize_incident(view) for view in page.views]
        return IncidentListModel(incidents=summaries, continuation=page.continuation)

    async def find(self, incident: str) -> IncidentDetail:
        """Return an incident with its first transitions and the facts about its members. Raises NotFound."""
        view = await self.find_view(incident)
        page = await self.list_transitions(incident, limit=SHOWN_TRANSITIONS)
        members = await self._view_members(sort_members(view.incident)[:SHOWN_MEMBERS])
        last = find_keeping_open(view.incident)
        return _summarize(
            IncidentDetail,
            view,
            members=members,
            transitions=page.transitions,
            transitions_continuation=page.continuation,
            shared=[_view_shared(each) for each in view.incident.shared],
            azure=[each.text for each in view.incident.azure],
            affected=count_by_severity(view.incident),
            open_because_of="" if last is None else f"only the rule {last.key.rule} of {last.key.subject}",
        )

    async def find_view(self, incident: str) -> IncidentView:
        """Return an incident. Raises NotFound."""
        stored, visibility = await self._get(incident)
        shown = visibility.show_incident(stored)
        if shown is None:
            raise incident_not_found(incident)
        return view_incident(shown, visibility, self._clock.now())

    async def read_facts(self, members: Sequence[Member]) -> Mapping[AlertKey, MemberFacts]:
        """Return what is known about members that the caller sees, the open ones first where there are many."""
        return await self._facts.read(sorted(members, key=lambda each: each.resolved_at is not None))

    async def list_members(self, incident: str, *, limit: int, after: str = "") -> IncidentMemberListModel:
        """Return alerts in the order in which they fired. Raises NotFound."""
        position = _MEMBER_POSITION.fullmatch(after)
        if after and position is None:
            raise InvalidContinuation(after)
        view = await self.find_view(incident)
        begin = (-1, "", "", 0) if position is None else (int(position[1]), position[2], position[3], int(position[4]))
        later = (each for each in view.incident.members if _position_of(each) > begin)
        members = heapq.nsmallest(limit + 1, later, key=_position_of)
        shown = members[:limit]
        continuation = "~".join(map(str, _position_of(shown[-1]))) if len(members) > limit else None
        return IncidentMemberListModel(members=await self._view_members(shown), continuation=continuation)

    async def _view_members(self, members: Sequence[Member]) -> list[IncidentMemberModel]:
        facts = await self.read_facts(members)
        return [_view_member(member, facts[member.key]) for member in members]

    async def list_transitions(self, incident: str, *, limit: int, after: str = "") -> TransitionListModel:
        """Return transitions, oldest first. A page can hold fewer than the limit. Raises NotFound."""
        stored, visibility = await self._get(incident)
        hidden = visibility.hidden_names(stored)
        page = await self._log.list_transitions(incident, limit=limit, after=after)
        shown = (visibility.show_transition(transition, hidden) for transition in page.entries)
        transitions = [_view_transition(transition) for transition in shown if transition is not None]
        return TransitionListModel(transitions=transitions, continuation=page.continuation or None)

    async def list_decisions(self, incident: str, *, limit: int, after: str = "") -> DecisionListModel:
        """Return decisions, oldest first. A page can hold fewer than the limit. Raises NotFound."""
        stored, visibility = await self._get(incident)
        hidden = visibility.hidden_names(stored)
        page = await self._log.list_decisions(incident, limit=limit, after=after)
        shown = (visibility.show_decision(decision, hidden) for decision in page.entries)
        decisions = [_view_decision(decision) for decision in shown if decision is not None]
        return DecisionListModel(decisions=decisions, continuation=page.continuation or None)

    async def _get(self, incident: str) -> tuple[Incident, SubjectVisibility]:
        stored = await self._log.find(incident)
        visibility = SubjectVisibility(self._catalog)
        if stored is None or not visibility.sees(stored):
            raise incident_not_found(incident)
        return stored, visibility

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


def sort_open(views: Iterable[IncidentView]) -> list[IncidentView]:
    """Return open incidents with the most severe first; of equal ones that which has failed longest."""
    return sorted(views, key=lambda view: (-view.incident.leading.rank, view.incident.failing_since))


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


def summarize_incident(view: IncidentView) -> IncidentSummary:
    """Return what lists show of an incident, and what an action on it returns."""
    return _summarize(IncidentSummary, view)


def _summarize(model: type[ModelT], view: IncidentView, **others: object) -> ModelT:
    """Return a summary, or a model with other members too."""
    incident = view.incident
    return model.from_object(
        incident,
        subject=incident.leading.key.subject,
        rule=incident.leading.key.rule,
        evidence=incident.leading.evidence,
        member_count=len(incident.members),
        announced=list(dict.fromkeys(announcement.channel for announcement in incident.announced)),
        suppression=view.suppression,
        handling=view.handling,
        url=f"/api/incidents/{incident.id}",
        **others,
    )


def _position_of(member: Member) -> tuple[int, str, str, int]:
    """Sort members by when they fired: what never changes."""
    return round(member.fired_at.timestamp() * 1000), member.key.subject, member.key.rule, member.fired


def _view_member(member: Member, facts: MemberFacts) -> IncidentMemberModel:
    return IncidentMemberModel.from_object(member, subject=member.key.subject, rule=member.key.rule, **asdict(facts))


def _view_shared(shared: SharedCause) -> SharedCauseModel:
    return SharedCauseModel.from_object(
        shared, fine_count=shared.fine, fine=list(shared.fine_jobs), text=describe_shared(shared)
    )


def _view_transition(transition: Transition) -> TransitionModel:
    return TransitionModel.from_object(transition, **_name_alert(transition.key))


def _view_decision(decision: AlertDecision) -> DecisionModel:
    cause = decision.suppression
    suppression = None if cause is None else SuppressionModel.from_object(cause, title=cause.titles)
    return DecisionModel.from_object(
        decision, **_name_alert(decision.key), suppression=suppression, inputs=dict(decision.inputs)
    )


def _name_alert(key: AlertKey | None) -> dict[str, str | None]:
    return {"subject": None, "rule": None} if key is None else {"subject": key.subject, "rule": key.rule}
