"""Reads the deployments that were marked, as a principal sees them. Called by the API, the commands and the charts.

A principal that is limited to tags sees those that concern one of its jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from scheduler.catalog.catalog import Catalog
from scheduler.features.statistics.periods import TimeRange
from scheduler.identity.principal import Principal
from scheduler.queries.audit import AuditFilter, AuditQueries, AuditView
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


MAX_MARKERS: Final = 50
_MAX_CACHED: Final = 100
_KINDS: Final = {
    "job.create": "definition",
    "job.replace": "definition",
    "job.patch": "definition",
    "job.restore": "definition",
    "set.apply": "definition",
    "jobs.reload": "definition",
    "window.create": "deployment",
    "job.pause": "pause",
    "job.resume": "pause",
    "circuit.open": "circuit",
    "circuit.close": "circuit",
    "circuit.reset": "circuit",
}
"""Of the actions that are marked."""


@dataclass(frozen=True, slots=True)
class JobMarker:
    """`kind`: `definition`, `deployment`, `pause` or `circuit`. `text`: a clause for people. `by`: a principal."""

    at: datetime
    kind: str
    text: str
    by: str


class JobMarkerReader:
    """One instance an app and a set of tags, because it caches what it reads of the trail until the trail grows."""

    def __init__(self, audit: AuditQueries, deployments: DeploymentMarkerQueries) -> None:
        self._audit = audit
        self._deployments = deployments
        self._cached: dict[tuple[str, datetime, datetime], tuple[int, Sequence[JobMarker]]] = {}

    async def list_markers(
        self, principal: Principal, job: str, since: datetime, until: datetime
    ) -> Sequence[JobMarker]:
        """Return the newest marks of a period, the oldest first. Raises StoreError."""
        changes, deployments = await asyncio.gather(
            self._list_changes(principal, job, since, until),
            self._deployments.list_of_job(job, since, until, limit=MAX_MARKERS),
        )
        marked = [JobMarker(each.at, "deployment", each.text, each.author) for each in deployments]
        return sorted([*changes, *marked], key=lambda marker: marker.at)[-MAX_MARKERS:]

    async def _list_changes(
        self, principal: Principal, job: str, since: datetime, until: datetime
    ) -> Sequence[JobMarker]:
        head = (await self._audit.read_head()).head.sequence
        key = job, since, until
        number, markers = self._cached.get(key, (-1, ()))
        if number == head:
            return markers
        criteria = AuditFilter(job=job, at=TimeRange(since, until))
        page = await self._audit.list_entries(principal, criteria, limit=MAX_MARKERS)
        markers = [marker for view in reversed(page.entries) if (marker := to_marker(view)) is not None]
        self._cached.pop(key, None)
        self._cached[key] = head, markers
        if len(self._cached) > _MAX_CACHED:
            del self._cached[next(iter(self._cached))]
        return markers


def to_marker(view: AuditView) -> JobMarker | None:
    """Return the mark of an entry of the trail; None for one that changes nothing a chart shows."""
    fields = view.fields
    kind = _KINDS.get(str(fields.get("action")))
    try:
        at = datetime.fromisoformat(fields["at"])
    except (KeyError, TypeError, ValueError):
        return None
    if kind is None or fields.get("kind", "change") != "change":
        return None
    return JobMarker(at, kind, _describe(fields), str(fields.get("principal", "")))


def _describe(fields: Mapping[str, Any]) -> str:
    if fields["action"] == "jobs.reload":
        return "the job files changed the job"
    text = str(fields.get("summary", ""))
    after = fields.get("after")
    change = after.get("change_id") if isinstance(after, Mapping) else None
    return f"{text} ({change})" if change else text
