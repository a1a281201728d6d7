"""Trends of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from datetime import tzinfo

from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.trends.models import TrendModel
from scheduler.identity.principal import Principal


class RemoteTrends(RemoteRoom):
    """See TrendReader. The running scheduler knows the principal."""

    async def read_trend(self, principal: Principal, job: str, *, days: int, zone: tzinfo) -> TrendModel:
        return await self.read(TrendModel, ("jobs", job, "trend"), days=days, timezone=str(zone))
