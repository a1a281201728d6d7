"""The pauses that maintenance windows with `effect: pause` cause, for all that consider pauses.

Implements scheduler.stores.gates.OtherPauses, so that planner, gates, heartbeats and states treat them alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from jobs.incidents.suppression.finding import (
    SuppressionSet,
    WindowPause,
    find_pause_end,
    list_pauses,
    next_change_after,
)
from jobs.incidents.suppression.windows import AlertSubject, MaintenanceWindow, RequestedWindow, WindowEffect
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.stores.alerting.suppressions import StoredSuppressions
from scheduler.stores.gates import Pause

_NONE: Mapping[str, Pause] = {}


class WindowPauses:
    """The result is computed when jobs or windows change, and when a window begins or ends."""

    def __init__(self, catalog: Catalog, windows: StoredSuppressions[RequestedWindow]) -> None:
        self._catalog = catalog
        self._windows = windows
        self._requested: tuple[RequestedWindow, ...] = ()
        self._computed_for: tuple[JobSnapshot, tuple[RequestedWindow, ...]] | None = None
        self._valid: tuple[datetime, datetime | None] | None = None
        self._active: Mapping[str, Pause] = _NONE
        self._ended: dict[str, Pause] = {}
        """Those that this process has observed: a requested window is forgotten some time after its end."""
        self._pausing = SuppressionSet()
        self._found: dict[str, datetime | None] = {}
        """By job, the end of the latest pause by windows that are known, since they were computed."""

    @property
    def requested(self) -> tuple[RequestedWindow, ...]:
        """The windows that users and pipelines have requested, as far as they are known."""
        return self._requested

    async def refresh(self) -> None:
        current = await self._windows.list_current()
        if current != self._requested:
            self._requested = current

    def list_active(self, now: datetime) -> Mapping[str, Pause]:
        snapshot = self._catalog.snapshot
        if not self._is_valid(snapshot, now):
            self._compute(snapshot, now)
        return self._active

    def find_ended(self, job: str, now: datetime) -> Pause | None:
        if job in self.list_active(now):
            return None
        observed, entry = self._ended.get(job), self._catalog.snapshot.find_job(job)
        if entry is None or not self._pausing.sources:
            return observed
        if job not in self._found:
            self._found[job] = find_pause_end(_describe(entry), self._pausing, now)
        end = self._found[job]
        if end is None or (observed is not None and observed.until is not None and observed.until >= end):
            return observed
        return Pause(job, end, end)

    def _is_valid(self, snapshot: JobSnapshot, now: datetime) -> bool:
        if self._computed_for is None or self._valid is None:
            return False
        known, requested = self._computed_for
        since, until = self._valid
        return known is snapshot and requested is self._requested and since <= now and (until is None or now < until)

    def _compute(self, snapshot: JobSnapshot, now: datetime) -> None:
        windows = SuppressionSet(
            tuple(_select_pausing(snapshot.alerting.windows)),
            tuple(each for each in self._requested if each.window.effect is WindowEffect.PAUSE),
        )
        before, self._active = self._active, {}
        if windows.sources:
            self._active = {each.job: _to_pause(each) for each in list_pauses(map(_describe, snapshot), windows, now)}
        for job, pause in before.items():
            if job not in self._active:
                self._ended[job] = replace(pause, until=min(now, pause.until or now))
        self._pausing, self._found = windows, {}
        self._computed_for = snapshot, self._requested
        self._valid = now, next_change_after(windows, now) if windows.sources else None


def _describe(entry: CatalogJob) -> AlertSubject:
    return AlertSubject(entry.job.name, str(entry.job.check.kind), "", entry.job.tags)


def _select_pausing(windows: tuple[MaintenanceWindow, ...]) -> Iterator[MaintenanceWindow]:
    return (each for each in windows if each.effect is WindowEffect.PAUSE)


def _to_pause(window_pause: WindowPause) -> Pause:
    window = window_pause.suppression
    reason = f"window {window.name}: {window.reason}" if window.reason else f"window {window.name}"
    return Pause(window_pause.job, window_pause.since, window.until, reason)
