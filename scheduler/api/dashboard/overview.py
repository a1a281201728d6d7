"""The jobs that a page of all jobs shows: filters, order and page number of its URL, and what is read of these jobs.

The state of all jobs comes from memory. Only of the jobs of a page, `OverviewReader` reads runs, rollups, circuits and
heartbeats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query

from scheduler.api.dashboard.rendering.page_caches import SharedPages
from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.parameters import parse_job_filters
from scheduler.api.routing import parse_choice
from scheduler.catalog.catalog import UnknownJob
from scheduler.errors import OperationError
from scheduler.features.circuits.queries import CircuitView
from scheduler.features.heartbeats.models import HeartbeatModel
from scheduler.features.jobs.queries import JobView
from scheduler.features.overview.queries import Overview
from scheduler.features.overview.summaries import (
    OWNER_TAG,
    JobGroup,
    OverviewCriteria,
    OverviewJob,
    SortOrder,
    Standing,
    count_standings,
    group_summaries,
    list_tags,
    parse_search,
    select_summaries,
    sort_summaries,
)
from scheduler.features.overview.timelines import JobTimeline, TimeWindow
from scheduler.health import HealthReport
from scheduler.services import Services

WALL_PATH: Final = f"{DASHBOARD_PATH}/wall"
CHANGED: Final = "1h"
MAX_TAGS: Final = 10

# The fields of a form that are not filled in are empty.
_ValueParameter = Annotated[str, Query(max_length=200)]
JOBS_PER_PAGE: Final = 100
MAX_OFFERED_TAGS: Final = 200
"""Tags with their values that the filter suggests."""
MAX_SORTED_BY_LATENCY: Final = 500
"""Jobs whose latest runs are read to sort by latency."""
MAX_CACHED_SELECTIONS: Final = 32
_HEALTH_CACHED_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class OverviewView:
    """`group`: the tag by whose values the jobs are grouped; empty: not at all. `page`: from 1."""

    criteria: OverviewCriteria
    group: str = ""
    window: TimeWindow = TimeWindow.HOURS_24
    page: int = 1

    @property
    def is_filtered(self) -> bool:
        return replace(self.criteria, order=SortOrder.STATE) != OverviewCriteria()

    @property
    def filter_count(self) -> int:
        """How many fields of the menu of filters differ from their defaults."""
        criteria = self.criteria
        given = (criteria.standing, criteria.kind, criteria.owner, criteria.has_changed, self.group)
        return sum(map(bool, given)) + len(criteria.tags) + (criteria.order is not SortOrder.STATE)

    @property
    def chips(self) -> Sequence[tuple[str, str]]:
        """The filters in words, each with the path of the view without it. The state is chosen above the list."""
        criteria = self.criteria
        found = [
            (str(tag), self.path(tag=[str(each) for each in criteria.tags if each != tag])) for tag in criteria.tags
        ]
        if criteria.kind:
            found.append((f"kind {criteria.kind}", self.path(kind="")))
        if criteria.owner:
            found.append((f"owner {criteria.owner}", self.path(owner="")))
        if criteria.has_changed:
            found.append(("changed in the last hour", self.path(changed="")))
        return found

    def path(self, base: str = DASHBOARD_PATH, **changes: Any) -> str:
        """Return the URL path of this view with changes of its parameters: `view.path(state="down")`.

        It shows the first page unless `page` is given.
        """
        criteria = self.criteria
        values: dict[str, str | Sequence[str]] = {
            "q": criteria.text,
            "state": criteria.standing or "",
            "tag": [str(tag) for tag in criteria.tags],
            "kind": criteria.kind,
            "owner": criteria.owner,
            "changed": CHANGED if criteria.has_changed else "",
            "sort": "" if criteria.order is SortOrder.STATE else criteria.order,
            "group": self.group,
            "span": "" if self.window is TimeWindow.HOURS_24 else self.window,
        }
        values |= changes
        query = urlencode({name: value for name, value in values.items() if value}, doseq=True)
        return f"{base}?{query}" if query else base


async def read_filters(
    q: Annotated[str, Query(max_length=100)] = "",
    state: Annotated[str, Query(max_length=40)] = "",
    tag: Annotated[list[str], Query(max_length=MAX_TAGS)] = [],  # noqa: B006 - FastAPI copies it for each request
    kind: Annotated[str, Query(max_length=40)] = "",
    owner: _ValueParameter = "",
    changed: Annotated[Literal["", "1h"], Query()] = "",
) -> OverviewView:
    """Return the view of these filters; `q` can contain some of them, see parse_search.

    Raises InvalidRequest: an unknown state or kind, or a tag without a name.
    """
    given = [each for each in tag if each]
    selection = parse_job_filters([], [kind] if kind else [], given, [], [])
    standing = Standing(parse_choice("state", state, tuple(Standing))) if state else None
    typed = parse_search(q)
    return OverviewView(
        OverviewCriteria(
            typed.text,
            typed.standing or standing,
            tuple(dict.fromkeys((*selection.tags, *typed.tags)))[:MAX_TAGS],
            typed.kind or kind,
            typed.owner or owner,
            changed == CHANGED,
        )
    )


FilteredView = Annotated[OverviewView, Depends(read_filters)]


async def read_view(
    filtered: FilteredView,
    sort: Annotated[SortOrder, Query()] = SortOrder.STATE,
    group: _ValueParameter = "",
    span: Annotated[TimeWindow, Query()] = TimeWindow.HOURS_24,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> OverviewView:
    """Return the view of all parameters."""
    return OverviewView(replace(filtered.criteria, order=sort), group, span, page)


OrderedView = Annotated[OverviewView, Depends(read_view)]


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """The jobs of a group that are on this page. `counts`: of the whole group; `value`: empty without groups, too."""

    value: str
    total: int
    counts: Mapping[Standing, int]
    jobs: Sequence[OverviewJob]


@dataclass(frozen=True, slots=True)
class OverviewSelection:
    """`total`: jobs of all pages; `before`: of earlier ones. `counts`: by state of those that the other filters select.

    `is_sorted`: False if there are too many jobs for the order by latency, or what got slower is not known yet.
    `slower`: in that order, the share of each job.
    """

    groups: Sequence[ShownGroup]
    total: int
    before: int
    counts: Mapping[Standing, int]
    is_sorted: bool = True
    slower: Mapping[str, float] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The jobs of this page, in their order."""
        return [job.name for group in self.groups for job in group.jobs]

    @property
    def shown(self) -> int:
        return sum(len(group.jobs) for group in self.groups)

    @property
    def matching(self) -> int:
        """The number of jobs that match all filters but the one by state."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class FilterChoices:
    """What the filters offer. `tags`: as `team=payments`; `keys`: the tags by which jobs can be grouped."""

    kinds: Sequence[str]
    keys: Sequence[str]
    tags: Sequence[str]
    owners: Sequence[str]


def select_page(
    summaries: Sequence[OverviewJob],
    view: OverviewView,
    now: datetime,
    latencies: Mapping[str, float] | None = None,
    size: int = JOBS_PER_PAGE,
) -> OverviewSelection:
    """Return the page of a view. `latencies`: see sort_summaries; None if they are unknown."""
    matching = select_summaries(summaries, view.criteria, now, any_standing=True)
    standing = view.criteria.standing
    selected = [each for each in matching if standing is None or each.standing is standing]
    ordered = sort_summaries(selected, view.criteria.order, latencies)
    groups = group_summaries(ordered, view.group) if view.group else [JobGroup("", ordered)]
    last = max(0, len(ordered) - 1) // size
    before = min(view.page - 1, last) * size
    return OverviewSelection(_cut(groups, before, size), len(ordered), before, count_standings(matching))


def list_choices(summaries: Sequence[OverviewJob]) -> FilterChoices:
    tags = list_tags(summaries)
    offered = [f"{key}={value}" for key in sorted(tags) for value in sorted(tags[key])]
    kinds = sorted({each.entry.job.check.kind for each in summaries})
    return FilterChoices(kinds, sorted(tags), offered[:MAX_OFFERED_TAGS], sorted(tags.get(OWNER_TAG, ())))


def _cut(groups: Sequence[JobGroup], before: int, size: int) -> list[ShownGroup]:
    """Return the groups with the jobs from number `before` on."""
    shown: list[ShownGroup] = []
    begin = 0
    for group in groups:
        jobs = group.summaries[max(0, before - begin) : max(0, before + size - begin)]
        if jobs:
            shown.append(ShownGroup(group.value, len(group.summaries), count_standings(group.summaries), jobs))
        begin += len(group.summaries)
    return shown


@dataclass(frozen=True, slots=True)
class JobRow:
    """What was read of a job of the page."""

    view: JobView
    timeline: JobTimeline
    heartbeat: HeartbeatModel | None
    circuit: CircuitView | None


@dataclass(frozen=True, slots=True)
class _CachedSelection:
    revision: int
    minute: datetime
    selection: OverviewSelection


class OverviewReader:
    """Of the callers that see the same jobs. All methods that await raise StoreError."""

    def __init__(self, services: Services) -> None:
        self._overviews, self._timelines = services.overview, services.timelines
        self._queries, self._heartbeats, self._circuits = services.queries, services.heartbeats, services.circuits
        self._slowest = services.slowest
        self._health, self._clock = services.health, services.clock
        self.is_limited = services.is_limited
        self.pages = SharedPages(services.clock)
        self._known: Overview | None = None
        self._known_at = services.clock.now()
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
        """Return the health of the parts, as of three seconds ago at most."""
        if self._report is None or self._clock.monotonic() >= self._report_until:
            self._report = await self._health.report()
            self._report_until = self._clock.monotonic() + _HEALTH_CACHED_SECONDS
        return self._report

    async def select(self, overview: Overview, view: OverviewView) -> OverviewSelection:
        """Return the jobs of a page. The result is cached until the state of a job changes, for a minute at most."""
        now = self._clock.now()
        minute = now.replace(second=0, microsecond=0)
        cached = self._selections.get(view)
        if cached is not None and (cached.revision, cached.minute) == (overview.revision, minute):
            return cached.selection
        selection = await self._select(overview, view, now)
        if view.criteria.order is SortOrder.SLOWER and not selection.is_sorted:
            return selection
        self._selections.pop(view, None)
        self._selections[view] = _CachedSelection(overview.revision, minute, selection)
        while len(self._selections) > MAX_CACHED_SELECTIONS:
            del self._selections[next(iter(self._selections))]
        return selection

    async def _select(self, overview: Overview, view: OverviewView, now: datetime) -> OverviewSelection:
        if view.criteria.order is SortOrder.SLOWER:
            slower = await self._slowest.find_slower()
            page = select_page(overview.summaries, view, now, slower)
            return replace(page, is_sorted=slower is not None, slower=slower or {})
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

    async def _read_heartbeats(self, views: Sequence[JobView]) -> Mapping[str, HeartbeatModel]:
        names = [view.entry.job.name for view in views if view.entry.job.check.kind == "heartbeat"]
        found = await asyncio.gather(*map(self._find_heartbeat, names))
        return {name: view for name, view in zip(names, found, strict=True) if view is not None}

    async def _find_heartbeat(self, name: str) -> HeartbeatModel | None:
        try:
            return await self._heartbeats.view_heartbeat(name)
        except (UnknownJob, OperationError):
            return None  # the job was changed meanwhile
