"""What people and deployments changed about a job in a period, for the marks in its charts.

The audit trail has changes of the definition, pauses, and maintenance windows with the number of a change, which
deployments create. Marked deployments, also those of the scheduler, are stored separately.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from scheduler.catalog.catalog import Query
from scheduler.features.audit.queries import AuditFilter, AuditQueries, AuditView
from scheduler.features.changes.markers import DeploymentMarkerQueries
from scheduler.features.statistics.periods import TimeRange
from scheduler.identity.principal import Principal

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


class JobMarkerReader(Query):
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
        head = (await self._audit.read_head()).sequence
        key = job, since, until
        number, markers = self._cached.get(key, (-1, ()))
        if number == head:
            return markers
        criteria = AuditFilter(job=job, at=TimeRange(since, until))
        page = await self._audit.list_views(principal, criteria, limit=MAX_MARKERS)
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
