"""Trends of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from datetime import tzinfo

from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.trends.models import LevelTrendModel
from scheduler.identity.principal import Principal


class RemoteTrends(RemoteRoom):
    """See TrendReader. The running scheduler knows the principal."""

    async def read_trend(self, principal: Principal, job: str, *, days: int, zone: tzinfo) -> LevelTrendModel:
        return await self.read(LevelTrendModel, ("jobs", job, "trend"), days=days, timezone=str(zone))
