"""Incidents of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from datetime import datetime

from jobs.formats import format_duration
from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.incidents.bundle_models import IncidentBundle
from scheduler.features.incidents.models import (
    DecisionListModel,
    IncidentDetail,
    IncidentListModel,
    IncidentMemberListModel,
    IncidentSummary,
)
from scheduler.features.incidents.queries import IncidentFilter
from scheduler.identity.principal import Caller, Principal


class RemoteIncidents(RemoteRoom):
    """See IncidentQueries."""

    async def list_summaries(self, criteria: IncidentFilter, *, limit: int, after: str = "") -> IncidentListModel:
        return await self.read(
            IncidentListModel,
            ("incidents",),
            status=criteria.status,
            severity=criteria.severities,
            job=criteria.subject,
            tag=[str(tag) for tag in criteria.selection.tags],
            since=criteria.opened.since,
            until=criteria.opened.until,
            limit=limit,
            after=after,
        )

    async def find(self, incident: str) -> IncidentDetail:
        return await self.read(IncidentDetail, ("incidents", incident))

    async def list_members(self, incident: str, *, limit: int, after: str = "") -> IncidentMemberListModel:
        return await self.read(IncidentMemberListModel, ("incidents", incident, "members"), limit=limit, after=after)

    async def list_decisions(self, incident: str, *, limit: int, after: str = "") -> DecisionListModel:
        return await self.read(DecisionListModel, ("incidents", incident, "decisions"), limit=limit, after=after)


class RemoteIncidentBundles(RemoteRoom):
    """See IncidentBundleReader. The running scheduler knows the principal."""

    async def read_bundle(self, principal: Principal, incident: str) -> IncidentBundle:
        return await self.read(IncidentBundle, ("incidents", incident, "bundle"))


class RemoteIncidentManager(RemoteRoom):
    """See IncidentManager."""

    async def acknowledge(self, incident: str, *, note: str = "", caller: Caller) -> IncidentSummary:
        return await self._act(incident, "acknowledge", note=note)

    async def snooze(
        self,
        incident: str,
        *,
        until: datetime | None = None,
        seconds: float | None = None,
        note: str = "",
        caller: Caller,
    ) -> IncidentSummary:
        length = None if seconds is None else format_duration(seconds)
        return await self._act(incident, "snooze", until=until, note=note, **{"for": length})

    async def unacknowledge(self, incident: str, *, note: str = "", caller: Caller) -> IncidentSummary:
        return await self._act(incident, "unacknowledge", note=note)

    async def add_note(self, incident: str, note: str, *, caller: Caller) -> IncidentSummary:
        return await self._act(incident, "notes", note=note)

    async def resolve(self, incident: str, *, note: str = "", caller: Caller) -> IncidentSummary:
        return await self._act(incident, "resolve", note=note)

    async def _act(self, incident: str, action: str, **members: object) -> IncidentSummary:
        return await self.change(IncidentSummary, ("incidents", incident, action), members)
