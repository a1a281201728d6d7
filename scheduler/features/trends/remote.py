"""Trends of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from datetime import tzinfo

from jobs.trends import MeasureName
from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.trends.models import LevelTrendModel
from scheduler.identity.principal import Principal


class RemoteTrends(RemoteRoom):
    """See TrendReader. The running scheduler knows the principal."""

    async def read_trend(
        self, principal: Principal, job: str, *, measure: MeasureName, days: int, zone: tzinfo
    ) -> LevelTrendModel:
        parts = "jobs", job, "trend"
        return await self.read(LevelTrendModel, parts, measure=measure, days=days, timezone=str(zone))
