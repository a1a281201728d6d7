"""Statistics, uptime and exports of a running scheduler, by its API: see scheduler.features.delivery.room.

`period`: the parameters `window`, `since`, `until`, `month` and `timezone`, as the options give them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scheduler.features.delivery.remote import RemoteError
from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.jobs.selection import JobSelection
from scheduler.features.statistics.models import (
    ComparisonModel,
    DowntimeModel,
    JobStatsModel,
    SelectionStatsModel,
    SlowestModel,
    UptimeModel,
)

EXPORT_TIMEOUT: Final = 600.0
"""Seconds for an export as a whole."""


class RemoteStatistics(RemoteRoom):
    """Each method returns what the route of the same name serves."""

    async def read_uptime(self, job: str) -> UptimeModel:
        return await self.read(UptimeModel, ("jobs", job, "uptime"))

    async def read_downtime(self, job: str, period: Mapping[str, Any]) -> DowntimeModel:
        return await self.read(DowntimeModel, ("jobs", job, "downtime"), **period)

    async def read_job(self, job: str, period: Mapping[str, Any]) -> JobStatsModel:
        return await self.read(JobStatsModel, ("jobs", job, "stats"), **period)

    async def read_selection(self, selection: JobSelection, period: Mapping[str, Any]) -> SelectionStatsModel:
        tags = [str(tag) for tag in selection.tags]
        return await self.read(SelectionStatsModel, ("stats",), name=selection.names, tag=tags, **period)

    async def read_slowest(self, selection: JobSelection, period: Mapping[str, Any], **order: str) -> SlowestModel:
        """`order`: the parameters `by` and `sort`."""
        tags, path = [str(tag) for tag in selection.tags], ("stats", "slowest")
        return await self.read(SlowestModel, path, name=selection.names, tag=tags, **order, **period)

    async def compare(
        self, selection: JobSelection, period: Mapping[str, Any], **chosen: str | None
    ) -> ComparisonModel:
        """`chosen`: the parameters `job`, `other_job` and `preset`."""
        tags, path = [str(tag) for tag in selection.tags], ("stats", "comparison")
        return await self.read(ComparisonModel, path, name=selection.names, tag=tags, **chosen, **period)

    async def export(self, subject: str, **params: Any) -> str:
        """Return an export of runs or statistics as text. Raises RemoteError: it is too long."""
        response = await self.send("GET", ("exports", subject), timeout_s=EXPORT_TIMEOUT, **params)
        if response.received.is_truncated:
            raise RemoteError(f"{self.api.place}: the export is too long: choose a shorter range")
        return response.body.decode("utf-8", "replace")
