"""Lists silences and maintenance windows, as the caller may see them, and the jobs that they concern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from jobs.incidents.suppression.spans import Periods, state_at
from jobs.incidents.suppression.windows import (
    AlertSubject,
    MaintenanceWindow,
    RequestedWindow,
    Silence,
    SubjectSelector,
)
from jobs.ports import Clock
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot, Query
from scheduler.catalog.limited import LimitedCatalog
from scheduler.errors import NotFound
from scheduler.identity.principal import Principal, Tags
from scheduler.stores.alerting.suppressions import StoredSuppression, StoredSuppressions
from scheduler.turns import convert_each

S = TypeVar("S", Silence, RequestedWindow)


class SuppressionState(StrEnum):
    PENDING = "pending"
    """Neither in force nor ended: it begins later, perhaps again."""
    ACTIVE = "active"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class SuppressionView(Generic[S]):
    """`begins_at`: when it begins next, None if it does not, or not in sight. `ends_at`: the end of the current period,
    or of the next one; of one that has ended, when it did.
    """

    value: S
    etag: str
    state: SuppressionState
    begins_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class DefinedWindowView:
    """A window of the job files. `origin`: such as `jobs/alerting.yaml:12`. `jobs`: the names of those that it selects,
    if the caller is limited to tags, for which nothing else of the selector is shown; else None.
    """

    window: MaintenanceWindow
    origin: str
    state: SuppressionState
    begins_at: datetime | None
    ends_at: datetime | None
    jobs: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class SuppressionViews(Generic[S]):
    """Oldest first. `continuation`: None on the last page. A page may have fewer entries than its limit."""

    found: tuple[SuppressionView[S], ...]
    continuation: str | None


class SuppressionQueries(Query):
    """All methods raise StoreError."""

    def __init__(
        self,
        catalog: Catalog,
        silences: StoredSuppressions[Silence],
        windows: StoredSuppressions[RequestedWindow],
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._silences = silences
        self._windows = windows
        self._clock = clock

    async def list_silences(
        self, principal: Principal, *, ended: bool = False, limit: int = 100, after: str = ""
    ) -> SuppressionViews[Silence]:
        """Return a page of the current silences, or of those that ended some time ago. Raises InvalidContinuation."""
        page = await self._silences.list_page(ended=ended, limit=limit, after=after)
        return SuppressionViews(_views(page.found, principal, self._clock.now()), page.continuation)

    async def list_windows(
        self, principal: Principal, *, ended: bool = False, limit: int = 100, after: str = ""
    ) -> SuppressionViews[RequestedWindow]:
        """Return the same of requested windows."""
        page = await self._windows.list_page(ended=ended, limit=limit, after=after)
        return SuppressionViews(_views(page.found, principal, self._clock.now()), page.continuation)

    async def list_current_windows(self) -> tuple[RequestedWindow, ...]:
        """Return the requested windows that have not ended, of all users: to compute what they pause."""
        return await self._windows.list_current()

    async def list_ended_silences(self, principal: Principal, limit: int) -> tuple[SuppressionView[Silence], ...]:
        """Return the newest silences that ended some time ago, newest first."""
        return _views(await self._silences.list_newest_ended(limit), principal, self._clock.now())

    async def list_ended_windows(
        self, principal: Principal, limit: int
    ) -> tuple[SuppressionView[RequestedWindow], ...]:
        """Return the same of requested windows."""
        return _views(await self._windows.list_newest_ended(limit), principal, self._clock.now())

    def list_defined_windows(self) -> tuple[DefinedWindowView, ...]:
        """Return the windows of the job files, in order: for a limited caller those that select one of its jobs."""
        now, is_limited = self._clock.now(), isinstance(self._catalog, LimitedCatalog)
        found = []
        for entry in self._catalog.snapshot.alerting.entries_of("windows"):
            jobs = self._select_jobs(entry.value) if is_limited else None
            if jobs is None or jobs:
                times = _find_times(entry.value.periods, now)
                found.append(DefinedWindowView(entry.value, entry.origin, *times, jobs))
        return tuple(found)

    def find_defined_window(self, name: str) -> DefinedWindowView | None:
        """Return the window of the job files with this name; None if the caller sees none."""
        return next((each for each in self.list_defined_windows() if each.window.name == name), None)

    def _select_jobs(self, window: MaintenanceWindow) -> tuple[str, ...]:
        subjects = (AlertSubject(each.job.name, each.job.check.kind, "", each.job.tags) for each in self._catalog)
        return tuple(sorted(each.name for each in subjects if window.select.matches_any_severity_of(each)))

    async def get_silence(self, principal: Principal, silence_id: str) -> SuppressionView[Silence]:
        """Return a silence, also one that has ended. Raises NotFound."""
        stored = await self._silences.find(silence_id)
        views = _views([] if stored is None else [stored], principal, self._clock.now())
        if not views:
            raise NotFound(f"there is no silence with the id {silence_id!r}")
        return views[0]

    async def get_window(self, principal: Principal, window_id: str) -> SuppressionView[RequestedWindow]:
        """Return a requested window, also one that has ended. Raises NotFound."""
        stored = await self._windows.find(window_id)
        views = _views([] if stored is None else [stored], principal, self._clock.now())
        if not views:
            raise NotFound(f"there is no maintenance window with the id {window_id!r}")
        return views[0]


def _views(
    stored: Sequence[StoredSuppression[S]], principal: Principal, now: datetime
) -> tuple[SuppressionView[S], ...]:
    return tuple(view_suppression(each, now) for each in stored if principal.manages(each.value.limited_to))


def view_suppression(stored: StoredSuppression[S], now: datetime) -> SuppressionView[S]:
    """Return it with its state at an instant."""
    state, begins_at, ends_at = _find_times(stored.value.periods, now)
    if state is SuppressionState.ENDED:
        ends_at = stored.value.ends_at
    return SuppressionView(stored.value, stored.etag, state, begins_at, ends_at)


def _find_times(periods: Periods, now: datetime) -> tuple[SuppressionState, datetime | None, datetime | None]:
    """Return the state, the next begin, and the end of the current or the next period."""
    state = state_at(periods, now)
    if state.is_inside:
        following = None if state.changes_at is None else state_at(periods, state.changes_at).changes_at
        return SuppressionState.ACTIVE, following, state.changes_at
    if state.changes_at is None:
        return SuppressionState.ENDED, None, None
    return SuppressionState.PENDING, state.changes_at, state_at(periods, state.changes_at).changes_at


MAX_CACHED_SELECTORS = 2000
"""Of the jobs in force: an open page requests the same ones every few seconds."""


class SuppressionCoverage(Query):
    """Caches the names until the jobs change."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._snapshot: JobSnapshot | None = None
        self._names: dict[tuple[str, Tags], tuple[str, ...]] = {}

    async def list_jobs(self, select: SubjectSelector, limited_to: Tags = ()) -> tuple[str, ...]:
        """Return the names of the jobs that are selected now, in order. `limited_to`: see RequestedWindow."""
        snapshot = self._catalog.snapshot
        if snapshot is not self._snapshot or len(self._names) >= MAX_CACHED_SELECTORS:
            self._snapshot, self._names = snapshot, {}
        key = select.model_dump_json(exclude_defaults=True), limited_to
        names = self._names
        if key not in names:

            def find_name(entry: CatalogJob) -> str:
                job = entry.job
                is_limited = limited_to and not any(job.tags.get(name) == value for name, value in limited_to)
                return "" if is_limited or not select.selects(job.name, job.tags, job.check.kind) else job.name

            names[key] = tuple(sorted(filter(None, await convert_each(find_name, snapshot))))
        return names[key]
