"""Lists silences and maintenance windows, as the caller may see them, and the jobs that they concern."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from jobs.definition.alerting_section import DefinedEntry
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
from scheduler.features.suppressions.models import SilenceListModel, SilenceModel, WindowListModel, WindowModel
from scheduler.identity.principal import Principal
from scheduler.stores.alerting.suppressions import StoredSuppressions
from scheduler.turns import convert_each


class SuppressionState(StrEnum):
    PENDING = "pending"
    """Neither in force nor ended: it begins later, perhaps again."""
    ACTIVE = "active"
    ENDED = "ended"


class SuppressionQueries(Query):
    """All methods raise StoreError. A caller that is limited to tags sees the silences and windows that it may end."""

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
    ) -> SilenceListModel:
        """Return a page of the current silences, or of those that ended some time ago. Raises InvalidContinuation."""
        page = await self._silences.list_page(ended=ended, limit=limit, after=after)
        now = self._clock.now()
        silences = [view_silence(each.value, now) for each in page.found if principal.manages(each.value.limited_to)]
        return SilenceListModel(silences=silences, continuation=page.continuation)

    async def list_windows(
        self, principal: Principal, *, ended: bool = False, limit: int = 100, after: str = ""
    ) -> WindowListModel:
        """Return a page of windows: first those of the job files, in addition to `limit`, then requested ones.

        `ended`: only requested windows that ended some time ago. Raises InvalidContinuation.
        """
        page = await self._windows.list_page(ended=ended, limit=limit, after=after)
        now = self._clock.now()
        windows = [] if ended or after else self.list_defined_windows()
        windows += [view_window(each.value, now) for each in page.found if principal.manages(each.value.limited_to)]
        return WindowListModel(windows=windows, continuation=page.continuation)

    async def list_current_windows(self) -> tuple[RequestedWindow, ...]:
        """Return the requested windows that have not ended, of all users: to compute what they pause."""
        return await self._windows.list_current()

    async def list_ended_silences(self, principal: Principal, limit: int) -> list[SilenceModel]:
        """Return the newest silences that ended some time ago, newest first."""
        stored, now = await self._silences.list_newest_ended(limit), self._clock.now()
        return [view_silence(each.value, now) for each in stored if principal.manages(each.value.limited_to)]

    async def list_ended_windows(self, principal: Principal, limit: int) -> list[WindowModel]:
        """Return the newest requested windows that ended some time ago, newest first."""
        stored, now = await self._windows.list_newest_ended(limit), self._clock.now()
        return [view_window(each.value, now) for each in stored if principal.manages(each.value.limited_to)]

    def list_defined_windows(self) -> list[WindowModel]:
        """Return the windows of the job files, in order.

        A limited caller sees those that select one of its jobs, and of their selector only these jobs.
        """
        now, is_limited = self._clock.now(), isinstance(self._catalog, LimitedCatalog)
        windows = []
        for entry in self._catalog.snapshot.alerting.entries_of("windows"):
            jobs = self._select_jobs(entry.value) if is_limited else None
            if jobs is None or jobs:
                windows.append(_view_defined(entry, jobs, now))
        return windows

    def _select_jobs(self, window: MaintenanceWindow) -> list[str]:
        subjects = (AlertSubject(each.job.name, each.job.check.kind, "", each.job.tags) for each in self._catalog)
        return sorted(each.name for each in subjects if window.select.matches_any_severity_of(each))

    async def get_silence(self, principal: Principal, silence_id: str) -> SilenceModel:
        """Return a silence, also one that has ended. Raises NotFound."""
        stored = await self._silences.find(silence_id)
        if stored is None or not principal.manages(stored.value.limited_to):
            raise NotFound(f"there is no silence with the id {silence_id!r}")
        return view_silence(stored.value, self._clock.now())

    async def get_window(self, principal: Principal, window: str) -> WindowModel:
        """Return a window of the job files by its name, or a requested one by its id, also one that has ended.

        Raises NotFound.
        """
        defined = next((each for each in self.list_defined_windows() if each.name == window), None)
        if defined is not None:
            return defined
        stored = await self._windows.find(window)
        if stored is None or not principal.manages(stored.value.limited_to):
            raise NotFound(f"there is no maintenance window with the id {window!r}")
        return view_window(stored.value, self._clock.now())


def view_silence(silence: Silence, now: datetime) -> SilenceModel:
    """Return a silence with its state at an instant."""
    return SilenceModel.from_object(
        silence,
        state=_find_times(silence.periods, now)[0],
        select=silence.select.model_dump(mode="json", exclude_defaults=True),
        limited_to=format_tags(silence.limited_to),
        url=f"/api/silences/{silence.id}",
    )


def view_window(requested: RequestedWindow, now: datetime) -> WindowModel:
    """Return a requested window with its state at an instant."""
    state, begins_at, ends_at = _find_times(requested.periods, now)
    return WindowModel.from_object(
        requested.window,
        id=requested.id,
        state=state,
        begins_at=begins_at,
        ends_at=requested.ends_at if state is SuppressionState.ENDED else ends_at,
        author=requested.author,
        created_at=requested.created_at,
        origin="",
        definition=dump_window(requested.window),
        limited_to=format_tags(requested.limited_to),
        url=f"/api/windows/{requested.id}",
    )


def _view_defined(entry: DefinedEntry, jobs: list[str] | None, now: datetime) -> WindowModel:
    window: MaintenanceWindow = entry.value
    state, begins_at, ends_at = _find_times(window.periods, now)
    definition = dump_window(window)
    if jobs is not None:
        definition["select"] = {"jobs": jobs}
    return WindowModel.from_object(
        window,
        id=None,
        state=state,
        begins_at=begins_at,
        ends_at=ends_at,
        author=None,
        created_at=None,
        origin=entry.origin,
        definition=definition,
        limited_to=[],
        url=f"/api/windows/{window.name}",
    )


def dump_window(window: MaintenanceWindow) -> dict[str, Any]:
    """Return the keys of job files."""
    return window.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def format_tags(tags: Iterable[tuple[str, str]]) -> list[str]:
    """Return `key=value` of each tag."""
    return [f"{key}={value}" for key, value in tags]


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
        self._names: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}

    async def list_jobs(self, select: SubjectSelector, limited_to: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the names of the jobs that are selected now, in order. `limited_to`: of SilenceModel."""
        snapshot = self._catalog.snapshot
        if snapshot is not self._snapshot or len(self._names) >= MAX_CACHED_SELECTORS:
            self._snapshot, self._names = snapshot, {}
        key = select.model_dump_json(exclude_defaults=True), tuple(limited_to)
        names = self._names
        if key not in names:

            def find_name(entry: CatalogJob) -> str:
                job = entry.job
                is_limited = limited_to and not any(tag in limited_to for tag in format_tags(job.tags.items()))
                return "" if is_limited or not select.selects(job.name, job.tags, job.check.kind) else job.name

            names[key] = tuple(sorted(filter(None, await convert_each(find_name, snapshot))))
        return names[key]
