"""Reads the deployments that were marked, as a principal sees them. Called by the API, the commands and the charts.

A principal that is limited to tags sees those that concern one of its jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from scheduler.catalog.catalog import Catalog
from scheduler.features.statistics.periods import TimeRange
from scheduler.identity.principal import Principal
from scheduler.stores.changes.markers import DeploymentMarker, DeploymentMarkers

MAX_MARKERS_SCANNED = 1000
"""Markers that a page reads; a page with filters can therefore hold fewer than its limit."""
_BATCH = 200


@dataclass(frozen=True, slots=True)
class DeploymentMarkerPage:
    """Newest first. `continuation`: fetches older ones; None on the last page."""

    markers: tuple[DeploymentMarker, ...]
    continuation: str | None


class DeploymentMarkerQueries:
    """All methods raise StoreError."""

    def __init__(self, catalog: Catalog, markers: DeploymentMarkers) -> None:
        self._catalog = catalog
        self._markers = markers

    async def list_markers(
        self,
        principal: Principal,
        at: TimeRange,
        *,
        job: str | None = None,
        limit: int,
        continuation: str | None = None,
    ) -> DeploymentMarkerPage:
        """Return a page. `job`: only those that concern it.

        Raises:
            InvalidContinuation: this list did not return it.
            UnknownJob: the job does not exist, or does not exist for the principal.
        """
        tags = None if job is None else self._catalog.get_job(job).job.tags
        found: list[DeploymentMarker] = []
        position = continuation or ""
        for _ in range(MAX_MARKERS_SCANNED // _BATCH):
            page = await self._markers.list_page(at.since, at.until, limit=_BATCH, after=position)
            for marker in page:
                if len(found) == limit:
                    return DeploymentMarkerPage(tuple(found), position)
                position = marker.id
                if self._is_visible(principal, marker) if tags is None else marker.concerns(tags):
                    found.append(marker)
            if len(page) < _BATCH:
                return DeploymentMarkerPage(tuple(found), None)
        return DeploymentMarkerPage(tuple(found), position)

    async def list_of_job(
        self, job: str, since: datetime, until: datetime, *, limit: int
    ) -> Sequence[DeploymentMarker]:
        """Return the newest ones of a time that concern a job, the oldest first; of a removed job none."""
        entry = self._catalog.find_job(job)
        if entry is None:
            return ()
        page = await self._markers.list_page(since, until, limit=_BATCH)
        return [each for each in page if each.concerns(entry.job.tags)][:limit][::-1]

    def _is_visible(self, principal: Principal, marker: DeploymentMarker) -> bool:
        return not principal.tags or any(marker.concerns(entry.job.tags) for entry in self._catalog.snapshot)
