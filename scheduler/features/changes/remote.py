"""Changes of states, health entries and markers of a running scheduler: see scheduler.features.delivery.room."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from scheduler.features.changes.models import (
    ChangeListModel,
    CreatedMarkerModel,
    HealthEntryListModel,
    MarkerListModel,
)
from scheduler.features.changes.queries import ChangeFilter
from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.statistics.periods import TimeRange
from scheduler.identity.principal import Caller, Principal


class RemoteChanges(RemoteRoom):
    """See ChangeQueries."""

    async def list_changes(
        self, principal: Principal, criteria: ChangeFilter, *, limit: int, continuation: str | None = None
    ) -> ChangeListModel:
        return await self.read(
            ChangeListModel,
            ("changes",),
            job=criteria.job,
            state=criteria.states,
            since=criteria.at.since,
            until=criteria.at.until,
            limit=limit,
            after=continuation,
        )

    async def list_health_entries(self, principal: Principal, job: str, now: datetime) -> HealthEntryListModel:
        return await self.read(HealthEntryListModel, ("jobs", job, "health-entries"))


class RemoteMarkers(RemoteRoom):
    """See DeploymentMarkerQueries and DeploymentMarking."""

    async def list_markers(
        self,
        principal: Principal,
        at: TimeRange,
        *,
        job: str | None = None,
        limit: int,
        continuation: str | None = None,
    ) -> MarkerListModel:
        times = {"since": at.since, "until": at.until}
        return await self.read(MarkerListModel, ("markers",), job=job, limit=limit, after=continuation, **times)

    async def create(
        self, text: str, *, tags: Mapping[str, str] | None = None, at: datetime | None = None, caller: Caller
    ) -> CreatedMarkerModel:
        return await self.change(CreatedMarkerModel, ("markers",), {"text": text, "tags": tags, "at": at})
