"""Reads the changes of the states of jobs, and the states of the entries of their health documents.

A principal that is limited to tags sees the changes of its jobs only. Other callers also see those of removed jobs,
which have no tags and no kind of check any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jobs.formats import format_iso_instant
from jobs.runs.health_history import EntryChange, EntryHistory, HealthHistory
from jobs.runs.states import JobStatus, StateChange
from scheduler.catalog.catalog import Catalog, Query, UnknownJob
from scheduler.catalog.limited import hide_position
from scheduler.features.changes.models import (
    ChangeCauseModel,
    ChangeListModel,
    ChangeModel,
    EntryChangeModel,
    EntryStatusName,
    HealthEntryListModel,
    HealthEntryModel,
)
from scheduler.features.jobs.selection import EVERY_JOB, JobSelection
from scheduler.features.runs.models import run_path
from scheduler.features.statistics.periods import ANY_TIME, TimeRange
from scheduler.identity.principal import Principal
from scheduler.stores.changes import HealthHistories, StateChanges

MAX_CHANGES_SCANNED = 2000
"""Changes that a page reads; a page with filters can therefore hold fewer changes than its limit."""
_BATCH = 500
RECENT = timedelta(days=7)
"""The period of `recent_failures` of an entry."""
CHANGE_FIELDS = (
    *("job", "number", "state", "at", "previous", "previous_since", "previous_seconds"),
    *("cause_code", "cause_message", "run_id"),
)
"""Of an exported change."""


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """`states`: the states after the change; empty: all. `selection`: of jobs, by kind and tags."""

    job: str | None = None
    states: tuple[JobStatus, ...] = ()
    selection: JobSelection = EVERY_JOB
    at: TimeRange = ANY_TIME


@dataclass(frozen=True, slots=True)
class ChangeList:
    """Newest first. `continuation`: fetches older changes; None on the last page."""

    changes: tuple[StateChange, ...]
    continuation: str | None


class ChangeQueries(Query):
    """All methods raise StoreError."""

    def __init__(self, catalog: Catalog, changes: StateChanges, health_histories: HealthHistories) -> None:
        self._catalog = catalog
        self._changes = changes
        self._health_histories = health_histories

    async def list_changes(
        self, principal: Principal, criteria: ChangeFilter, *, limit: int, continuation: str | None = None
    ) -> ChangeListModel:
        """Return what is shown of a page of list_state_changes. Raises InvalidContinuation, UnknownJob."""
        page = await self.list_state_changes(principal, criteria, limit=limit, continuation=continuation)
        changes = [_view_change(change) for change in page.changes]
        return ChangeListModel(changes=changes, continuation=page.continuation)

    async def list_state_changes(
        self, principal: Principal, criteria: ChangeFilter, *, limit: int, continuation: str | None = None
    ) -> ChangeList:
        """Return a page, newest first.

        Raises:
            InvalidContinuation: this list did not return it.
            UnknownJob: the job neither exists nor has changes, or does not exist for the principal.
        """
        self._require_visible(principal, criteria.job)
        matching: list[StateChange] = []
        position, scanned = continuation or "", 0
        while scanned < MAX_CHANGES_SCANNED:
            # One more than the limit shows whether another page exists.
            batch = limit - len(matching) + 1 if self._matches_all(principal, criteria) else _BATCH
            page = await self._changes.list_page(
                criteria.job, criteria.at.since, criteria.at.until, limit=batch, after=position
            )
            for change, at in zip(page.changes, page.positions, strict=True):
                if len(matching) == limit:
                    return ChangeList(tuple(matching), hide_position(position, self._catalog))
                position = at
                if self._matches(principal, criteria, change):
                    matching.append(change)
            if len(page.changes) < batch:
                if criteria.job is not None and not matching and not page.changes and not continuation:
                    await self._require_known(criteria.job)
                return ChangeList(tuple(matching), None)
            scanned += batch
        return ChangeList(tuple(matching), hide_position(position, self._catalog))

    async def export_changes(
        self, principal: Principal, criteria: ChangeFilter
    ) -> AsyncIterator[Iterable[Mapping[str, Any]]]:
        """Yield pages with the fields of all changes, newest first. Raises UnknownJob."""
        continuation: str | None = None
        while True:
            page = await self.list_state_changes(principal, criteria, limit=_BATCH, continuation=continuation)
            yield map(_export_fields, page.changes)
            if (continuation := page.continuation) is None:
                return

    async def list_health_entries(self, principal: Principal, job: str, now: datetime) -> HealthEntryListModel:
        """Return what is shown of read_health_history; no entries without a document. Raises UnknownJob."""
        history = await self.read_health_history(principal, job)
        return HealthEntryListModel(
            entries=[] if history is None else [_view_entry(entry, now) for entry in history.entries]
        )

    async def read_health_history(self, principal: Principal, job: str) -> HealthHistory | None:
        """Return the states of the entries of a job's health documents; None without a document so far.

        Raises UnknownJob: the job does not exist, or does not exist for the principal.
        """
        self._require_visible(principal, job)
        stored = await self._health_histories.read(job)
        if stored is None:
            self._catalog.get_job(job)
            return None
        return stored.history

    def _require_visible(self, principal: Principal, job: str | None) -> None:
        if job is not None and principal.tags and not principal.sees(self._catalog.get_job(job).job.tags):
            raise UnknownJob(job)

    async def _require_known(self, job: str) -> None:
        """A removed job can still have changes. A name that never existed is a typing error."""
        if job not in self._catalog and not (await self._changes.list_page(job, limit=1)).changes:
            self._catalog.get_job(job)

    def _matches_all(self, principal: Principal, criteria: ChangeFilter) -> bool:
        return not principal.tags and not criteria.states and criteria.selection.is_empty

    def _matches(self, principal: Principal, criteria: ChangeFilter, change: StateChange) -> bool:
        if criteria.states and change.state not in criteria.states:
            return False
        if principal.tags and not (
            self._sees(principal, change.job) and self._catalog.is_visible(change.job, change.at)
        ):
            return False
        if criteria.selection.is_empty:
            return True
        entry = self._catalog.find_job(change.job)
        return entry is not None and criteria.selection.matches_definition(entry.job)

    def _sees(self, principal: Principal, job: str) -> bool:
        entry = self._catalog.find_job(job)
        return entry is not None and principal.sees(entry.job.tags)


def _view_change(change: StateChange) -> ChangeModel:
    since = change.previous_since
    return ChangeModel.from_object(
        change,
        previous_seconds=None if since is None else (change.at - since).total_seconds(),
        cause=ChangeCauseModel.from_object(change.cause),
        run_id=change.run or None,
        run_url=run_path(change.run) if change.run else None,
    )


def _view_entry(history: EntryHistory, now: datetime) -> HealthEntryModel:
    return HealthEntryModel.from_object(
        history.entry,
        status=_status_name(history.present),
        reported_status=history.entry.word,
        since=history.present.at,
        recent_failures=history.count_failures(now - RECENT),
        run_id=history.run,
        run_url=run_path(history.run),
        changes=[EntryChangeModel(at=change.at, status=_status_name(change)) for change in history.changes],
    )


def _status_name(change: EntryChange) -> EntryStatusName:
    return "missing" if change.status is None else change.status.value


def _export_fields(change: StateChange) -> Mapping[str, Any]:
    since = change.previous_since
    return {
        "job": change.job,
        "number": change.number,
        "state": change.state.value,
        "at": format_iso_instant(change.at, precise=True),
        "previous": None if change.previous is None else change.previous.value,
        "previous_since": None if since is None else format_iso_instant(since, precise=True),
        "previous_seconds": None if since is None else (change.at - since).total_seconds(),
        "cause_code": change.cause.code,
        "cause_message": change.cause.message,
        "run_id": change.run or None,
    }


MAX_CHANGES_READ = 300
"""The newest changes of a period. Those before are not shown."""


@dataclass(frozen=True, slots=True)
class StateHistory:
    """`changes`: of the period, newest first. `before`: the change that began the state at `since`; None without one.

    `known_since`: the instant from which on the states are known; None: from the beginning of the period on.
    """

    changes: Sequence[StateChange]
    before: StateChange | None
    known_since: datetime | None


async def read_state_history(
    changes: ChangeQueries, principal: Principal, job: str, since: datetime, until: datetime
) -> StateHistory:
    """Return the states of a job. Raises UnknownJob, StoreError."""
    criteria = ChangeFilter(job, at=TimeRange(since, until))
    page = await changes.list_state_changes(principal, criteria, limit=MAX_CHANGES_READ)
    if page.continuation is not None:
        return StateHistory(page.changes, None, page.changes[-1].at if page.changes else until)
    earlier = await changes.list_state_changes(principal, ChangeFilter(job, at=TimeRange(None, since)), limit=1)
    before = earlier.changes[0] if earlier.changes else None
    if before is not None:
        return StateHistory(page.changes, before, None)
    oldest = page.changes[-1] if page.changes else None
    return StateHistory(page.changes, None, until if oldest is None else oldest.at)
