"""Reads the data of the overview and of the wall view. Called by scheduler.api.dashboard.overview.overview_page and
scheduler.api.dashboard.overview.wall_page.

The state of all jobs comes from memory. Only of the jobs of a page it reads runs, rollups, circuits and heartbeats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from scheduler.api.dashboard.overview.selection import FilterChoices, OverviewSelection, list_choices, select_page
from scheduler.api.dashboard.overview.view import OverviewView
from scheduler.api.dashboard.rendering.shared_pages import SharedPages
from scheduler.catalog.catalog import UnknownJob
from scheduler.errors import OperationError
from scheduler.features.circuits.queries import CircuitView
from scheduler.features.heartbeats.queries import HeartbeatView
from scheduler.health.report import HealthReport
from scheduler.queries.overview.history import JobTimeline
from scheduler.queries.overview.job_view import JobView
from scheduler.queries.overview.reader import Overview
from scheduler.queries.overview.selecting import SortOrder, select_summaries
from scheduler.services import Services

MAX_SORTED_BY_LATENCY: Final = 500
"""Jobs whose latest runs are read to sort by latency."""
MAX_CACHED_SELECTIONS: Final = 32
_HEALTH_CACHED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class JobRow:
    """What was read of a job of the page."""

    view: JobView
    timeline: JobTimeline
    heartbeat: HeartbeatView | None
    circuit: CircuitView | None


@dataclass(frozen=True, slots=True)
class _CachedSelection:
    revision: int
    minute: datetime
    selection: OverviewSelection


class OverviewReader:
    """Of the callers that see the same jobs. All methods that await raise StoreError."""

    def __init__(self, uses: Services) -> None:
        self._overviews, self._timelines = uses.overview, uses.timelines
        self._queries, self._heartbeats, self._circuits = uses.queries, uses.heartbeats, uses.circuits
        self._health, self._clock = uses.health, uses.clock
        self.is_limited = uses.is_limited
        self.pages = SharedPages(uses.clock)
        self._known: Overview | None = None
        self._known_at = uses.clock.now()
        self._selections: dict[OverviewView, _CachedSelection] = {}
        self._choices: tuple[object, FilterChoices] | None = None
        self._report: HealthReport | None = None
        self._report_until = float("-inf")

    async def read_overview(self) -> Overview:
        """Return the state of all jobs."""
        found = await self._overviews.read(self._known)
        self._known, self._known_at = found, self._clock.now()
        return found

    @property
    def last_known(self) -> tuple[Overview, datetime] | None:
        """The latest state that could be read, and when."""
        return None if self._known is None else (self._known, self._known_at)

    async def read_health(self) -> HealthReport:
        """Return the health of the parts, as of a second ago at most."""
        if self._report is None or self._clock.monotonic() >= self._report_until:
            self._report = await self._health.report()
            self._report_until = self._clock.monotonic() + _HEALTH_CACHED_SECONDS
        return self._report

    async def select(self, overview: Overview, view: OverviewView) -> OverviewSelection:
        """Return the jobs of a page. The result is cached until the state of a job changes, for a minute at most."""
        now = self._clock.now()
        minute = now.replace(second=0, microsecond=0)
        known = self._selections.get(view)
        if known is not None and (known.revision, known.minute) == (overview.revision, minute):
            return known.selection
        found = await self._select(overview, view, now)
        self._selections.pop(view, None)
        self._selections[view] = _CachedSelection(overview.revision, minute, found)
        while len(self._selections) > MAX_CACHED_SELECTIONS:
            del self._selections[next(iter(self._selections))]
        return found

    async def _select(self, overview: Overview, view: OverviewView, now: datetime) -> OverviewSelection:
        if view.criteria.order is not SortOrder.LATENCY:
            return select_page(overview.summaries, view, now)
        names = [each.name for each in select_summaries(overview.summaries, view.criteria, now)]
        if len(names) > MAX_SORTED_BY_LATENCY:
            return replace(select_page(overview.summaries, view, now), is_sorted=False)
        latest = await self._queries.latest_runs(names)
        times = {name: record.run.response_time_ms for name, record in latest.items() if record.run is not None}
        latencies = {name: value for name, value in times.items() if value is not None}
        return select_page(overview.summaries, view, now, latencies)

    def list_choices(self, overview: Overview) -> FilterChoices:
        """Return what the filters offer."""
        if self._choices is None or self._choices[0] is not overview.facts.jobs:
            self._choices = overview.facts.jobs, list_choices(overview.summaries)
        return self._choices[1]

    async def read_rows(
        self, overview: Overview, selection: OverviewSelection, view: OverviewView
    ) -> Mapping[str, JobRow]:
        """Return what is shown of the jobs of a page, by name."""
        names = selection.names
        newest = dict(zip(names, overview.newest_runs(names), strict=True))
        page, timelines, circuits = await asyncio.gather(
            self._queries.list_jobs(limit=len(names) or 1, among=sorted(names)),
            self._timelines.read(newest, view.window),
            self._circuits.circuits_of_jobs(names),
        )
        heartbeats = await self._read_heartbeats(page.jobs)
        rows = {}
        for each in page.jobs:
            name = each.entry.job.name
            rows[name] = JobRow(each, timelines[name], heartbeats.get(name), circuits.get(name))
        return rows

    async def _read_heartbeats(self, views: Sequence[JobView]) -> Mapping[str, HeartbeatView]:
        names = [view.entry.job.name for view in views if view.entry.job.check.kind == "heartbeat"]
        found = await asyncio.gather(*map(self._find_heartbeat, names))
        return {name: view for name, view in zip(names, found, strict=True) if view is not None}

    async def _find_heartbeat(self, name: str) -> HeartbeatView | None:
        try:
            return await self._heartbeats.view_heartbeat(name)
        except (UnknownJob, OperationError):
            return None  # the job was changed meanwhile
