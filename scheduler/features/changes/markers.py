"""Marks deployments, so that the charts of the jobs that they concern show them, and reads those that were marked.

A principal that is limited to tags sees those that concern one of its jobs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from jobs.formats import format_instant, format_iso_instant
from jobs.model_base import refuse_control_characters
from jobs.ports import Clock
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog, Operation, Query
from scheduler.errors import InvalidArgument
from scheduler.features.changes.models import CreatedMarkerModel, MarkerListModel, MarkerModel
from scheduler.features.statistics.periods import TimeRange
from scheduler.identity.principal import Caller, Principal, format_tag_limits
from scheduler.stores.markers import DeploymentMarker, DeploymentMarkers, create_marker_id

MAX_MARKER_TEXT: Final = 200
MAX_MARKER_TAGS: Final = 20
MAX_MARKER_AGE: Final = timedelta(days=366)
_CLOCK_SKEW: Final = timedelta(minutes=5)


class DeploymentMarking(Operation):
    def __init__(self, catalog: Catalog, markers: DeploymentMarkers, clock: Clock, audit: AuditTrail) -> None:
        self._catalog = catalog
        self._markers = markers
        self._clock = clock
        self._audit = audit

    async def create(
        self, text: str, *, tags: Mapping[str, str] | None = None, at: datetime | None = None, caller: Caller
    ) -> CreatedMarkerModel:
        """Mark a deployment of what is monitored. It concerns the jobs that have all of the tags; none: all jobs.

        `text`: such as a commit. `at`: None for now. Of a caller that is limited to tags it concerns only jobs with one
        of these tags.

        Raises:
            InvalidArgument: the text is blank or too long, the text or a tag has control characters, or the instant is
                too far from now.
            StoreError: nothing was stored.
        """
        now = self._clock.now()
        instant = now if at is None else at
        _check_instant(instant, now)
        tags = {_check_characters("tags", key): _check_characters("tags", value) for key, value in (tags or {}).items()}
        marker = DeploymentMarker(
            create_marker_id(instant),
            instant,
            _check_text(text),
            tuple(sorted(tags.items())),
            caller.principal.id,
            caller.principal.tags,
        )
        jobs = tuple(sorted(each.job.name for each in self._catalog.snapshot if marker.concerns(each.job.tags)))
        change = AuditedChange(
            "marker.create", marker.id, f"a deployment was marked: {marker.text}", jobs, after=_describe(marker)
        )
        async with audited(self._audit, caller, change):
            await self._markers.put(marker)
        return CreatedMarkerModel.from_object(_view_marker(marker), jobs=list(jobs))


def _check_text(text: str) -> str:
    stripped = text.strip()
    if not stripped:
        raise InvalidArgument("text", "is blank: write what was deployed, such as a commit")
    if len(stripped) > MAX_MARKER_TEXT:
        raise InvalidArgument("text", f"{len(stripped)} characters, but at most {MAX_MARKER_TEXT} are allowed")
    return _check_characters("text", stripped)


def _check_characters(name: str, text: str) -> str:
    try:
        return refuse_control_characters(text)
    except ValueError as error:
        raise InvalidArgument(name, str(error)) from None


def _check_instant(at: datetime, now: datetime) -> None:
    if at > now + _CLOCK_SKEW:
        raise InvalidArgument("at", f"{format_instant(at)} is in the future: it is {format_instant(now)}")
    if at < now - MAX_MARKER_AGE:
        raise InvalidArgument("at", f"{format_instant(at)} is more than {MAX_MARKER_AGE.days} days ago")


def _describe(marker: DeploymentMarker) -> dict[str, object]:
    return {"at": format_iso_instant(marker.at), "text": marker.text, "tags": format_tag_limits(marker.tags)}


MAX_MARKERS_SCANNED = 1000
"""Markers that a page reads; a page with filters can therefore hold fewer than its limit."""
_BATCH = 200


class DeploymentMarkerQueries(Query):
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
    ) -> MarkerListModel:
        """Return a page, newest first. `job`: only those that concern it.

        Raises:
            InvalidContinuation: this list did not return it.
            UnknownJob: the job does not exist, or does not exist for the principal.
        """
        tags = None if job is None else self._catalog.get_job(job).job.tags
        markers: list[MarkerModel] = []
        position = continuation or ""
        for _ in range(MAX_MARKERS_SCANNED // _BATCH):
            page = await self._markers.list_page(at.since, at.until, limit=_BATCH, after=position)
            for marker in page:
                if len(markers) == limit:
                    return MarkerListModel(markers=markers, continuation=position)
                position = marker.id
                if self._is_visible(principal, marker) if tags is None else marker.concerns(tags):
                    markers.append(_view_marker(marker))
            if len(page) < _BATCH:
                return MarkerListModel(markers=markers, continuation=None)
        return MarkerListModel(markers=markers, continuation=position)

    async def list_of_job(
        self, job: str, since: datetime, until: datetime, *, limit: int
    ) -> Sequence[DeploymentMarker]:
        """Return the newest ones of a time that concern a job, the oldest first; of a removed job none."""
        entry = self._catalog.find_job(job)
        if entry is None:
            return ()
        page = await self._markers.list_page(since, until, limit=_BATCH)
        return [each for each in page if each.concerns(entry.job.tags)][:limit][::-1]

    async def find_latest(self, jobs: Sequence[str], until: datetime) -> DeploymentMarker | None:
        """Return the newest of the last ones that concerns one of these jobs."""
        tags = [entry.job.tags for job in jobs if (entry := self._catalog.find_job(job)) is not None]
        page = await self._markers.list_page(None, until, limit=_BATCH)
        return next((each for each in page if any(each.concerns(one) for one in tags)), None)

    def _is_visible(self, principal: Principal, marker: DeploymentMarker) -> bool:
        return not principal.tags or any(marker.concerns(entry.job.tags) for entry in self._catalog.snapshot)


def _view_marker(marker: DeploymentMarker) -> MarkerModel:
    return MarkerModel.from_object(marker, tags=dict(marker.tags), limited_to=format_tag_limits(marker.limited_to))
