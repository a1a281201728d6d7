"""Alerts of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from datetime import datetime

from scheduler.features.alerts.models import AlertExplanationModel
from scheduler.features.delivery.room import RemoteRoom


class RemoteAlertExplainer(RemoteRoom):
    """See AlertExplainer."""

    async def explain(self, job: str, at: datetime | None = None, rule: str | None = None) -> AlertExplanationModel:
        return await self.read(AlertExplanationModel, ("jobs", job, "alert-explanation"), at=at, rule=rule)
