"""Changes of states, and entries of health documents, of a running scheduler: see scheduler.features.delivery.room."""

from __future__ import annotations

from datetime import datetime

from scheduler.features.changes.models import ChangeListModel, HealthEntryListModel
from scheduler.features.changes.queries import ChangeFilter
from scheduler.features.delivery.room import RemoteRoom
from scheduler.identity.principal import Principal


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
