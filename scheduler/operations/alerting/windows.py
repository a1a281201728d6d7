"""Starts, ends and deletes maintenance windows that are not in job files. Called by the API and the commands.

A pipeline starts one with `{"name": "rollout", "for": "30m", "select": ..., "change_id": ...}`: it begins now and ends
by itself, also if the pipeline fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from jobs.formats.counts import format_count
from jobs.formats.instants import format_instant, format_iso_instant
from jobs.incidents.suppression.spans import state_at
from jobs.incidents.suppression.windows import MaintenanceWindow, RequestedWindow
from jobs.model_base import FILE_CONTEXT
from jobs.ports import Clock
from jobs.problems import validation_problems
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog
from scheduler.errors import Conflict, InvalidArgument, InvalidDefinition, NotFound
from scheduler.identity.principal import Caller
from scheduler.operations.alerting.targets import (
    MAX_CURRENT_SUPPRESSIONS,
    conflict_if_changed,
    select_jobs,
)
from scheduler.stores.suppressions import StoredSuppression, StoredSuppressions, create_suppression_id

_TIME_KEYS = ("from", "schedule", "weekly", "calendar")


@dataclass(frozen=True, slots=True)
class CreatedWindow:
    """`jobs`: those that it selects now; none if it selects nothing, which is most likely an error of the caller."""

    stored: StoredSuppression[RequestedWindow]
    jobs: tuple[str, ...]


class WindowManager:
    """All methods raise StoreError: then nothing was changed."""

    def __init__(
        self,
        catalog: Catalog,
        windows: StoredSuppressions[RequestedWindow],
        clock: Clock,
        audit: AuditTrail,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_change`: see SilenceManager."""
        self._catalog = catalog
        self._on_change = on_change
        self._windows = windows
        self._clock = clock
        self._audit = audit

    async def create(self, definition: Mapping[str, Any], caller: Caller) -> CreatedWindow:
        """Create a window by the keys of job files; without a time it begins now, and requires `for` or `until`.
        Without a name it gets that of its change, such as `CHG0042-5f2c1d9b`.

        For a caller that is limited to tags it is limited to jobs with one of these tags.

        Raises:
            InvalidDefinition: a key or value is invalid.
            InvalidArgument: the window is over already.
            Conflict: another window of this name has not ended, or there are too many.
        """
        now = self._clock.now()
        requested = self._read(definition, caller, now)
        await self._require_room(requested, caller, now)
        jobs = select_jobs(self._catalog, requested.window.select)
        summary = f"maintenance window {requested.name} of {format_count(len(jobs), 'job')} was created"
        change = AuditedChange("window.create", requested.id, summary, jobs, after=describe_window(requested))
        async with audited(self._audit, caller, change):
            stored = await self._windows.insert(requested)
        self._on_change()
        return CreatedWindow(stored, jobs)

    async def end(self, window: str, caller: Caller) -> RequestedWindow:
        """End a window now, by its id, or by its name if it has not ended. A window that recurs does not begin again.

        Raises NotFound; Conflict: it has ended, or it has not started.
        """
        stored = await self._get(window, caller)
        before, now = stored.value, self._clock.now()
        if before.ends_at is not None and now >= before.ends_at:
            raise Conflict(f"maintenance window {before.name} ended at {format_instant(before.ends_at)}")
        if not _has_started(before, now):
            raise Conflict(f"maintenance window {before.name} has not started: delete it instead")
        after = RequestedWindow(**{**dict(before), "ended_at": now})
        change = self._describe("window.end", f"maintenance window {before.name} was ended", before, after)
        async with audited(self._audit, caller, change), conflict_if_changed("the maintenance window"):
            await self._windows.replace(stored, after)
        self._on_change()
        return after

    async def delete(self, window: str, caller: Caller) -> None:
        """Delete a window that has not started; others are part of the history. Raises NotFound, Conflict."""
        stored = await self._get(window, caller)
        found, now = stored.value, self._clock.now()
        if _has_started(found, now):
            is_over = found.ends_at is not None and now >= found.ends_at
            advice = "it is retained as part of the history" if is_over else "end it instead"
            raise Conflict(f"maintenance window {found.name} has started: {advice}")
        change = self._describe("window.delete", f"maintenance window {found.name} was deleted", found, None)
        async with audited(self._audit, caller, change), conflict_if_changed("the maintenance window"):
            await self._windows.delete(stored)
        self._on_change()

    def _read(self, definition: Mapping[str, Any], caller: Caller, now: datetime) -> RequestedWindow:
        given, window_id = dict(definition), create_suppression_id(now)
        if "name" not in given:
            given["name"] = _create_name(given.get("change_id"), window_id)
        if not any(key in given for key in _TIME_KEYS):
            given["from"] = format_iso_instant(now, precise=True)
        try:
            window = MaintenanceWindow.model_validate(given, context=FILE_CONTEXT)
            requested = RequestedWindow(
                id=window_id,
                window=window,
                author=caller.principal.id,
                created_at=now,
                limited_to=caller.principal.tags,
            )
        except ValidationError as error:
            raise InvalidDefinition(validation_problems(error, MaintenanceWindow)) from None
        state = state_at(requested.periods, now)
        if not state.is_inside and state.changes_at is None:
            raise InvalidArgument("until", f"the window has no time after now: it is {format_instant(now)}")
        return requested

    async def _require_room(self, requested: RequestedWindow, caller: Caller, now: datetime) -> None:
        current = [
            each.value
            for each in await self._windows.list_unarchived()
            if each.value.ends_at is None or now < each.value.ends_at
        ]
        if len(current) >= MAX_CURRENT_SUPPRESSIONS:
            raise Conflict(f"{len(current)} maintenance windows are in force or planned, the maximum: end others")
        same = next((each for each in current if each.name == requested.name), None)
        if same is not None and caller.principal.manages(same.limited_to):
            raise Conflict(f"maintenance window {same.name} ({same.id}) has not ended: end it, or choose another name")

    async def _get(self, window: str, caller: Caller) -> StoredSuppression[RequestedWindow]:
        now = self._clock.now()
        stored = await self._windows.find(window)
        if stored is None:
            named = [each for each in await self._windows.list_unarchived() if each.value.name == window]
            visible = [each for each in named if caller.principal.manages(each.value.limited_to)]
            current = [each for each in visible if each.value.ends_at is None or now < each.value.ends_at]
            stored = next(iter(current or reversed(visible)), None)
        if stored is None or not caller.principal.manages(stored.value.limited_to):
            self._refuse_defined(window, caller)
            raise NotFound(f"there is no maintenance window {window!r} that a request has created")
        return stored

    def _refuse_defined(self, window: str, caller: Caller) -> None:
        """Raise Conflict if a job file defines a window of this name, which only a caller without a limit sees."""
        for entry in () if caller.principal.tags else self._catalog.snapshot.alerting.entries_of("windows"):
            if entry.value.name == window:
                raise Conflict(f"maintenance window {window} is defined in {entry.origin}: change it there")

    def _describe(
        self, action: str, summary: str, before: RequestedWindow, after: RequestedWindow | None
    ) -> AuditedChange:
        return AuditedChange(
            action,
            before.id,
            summary,
            select_jobs(self._catalog, before.window.select),
            describe_window(before),
            None if after is None else describe_window(after),
        )


def describe_window(requested: RequestedWindow) -> dict[str, object]:
    """Return its members for the audit trail."""
    return {
        **requested.window.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "ended_at": None if requested.ended_at is None else format_iso_instant(requested.ended_at),
        "limited_to": [f"{key}={value}" for key, value in requested.limited_to],
    }


def _create_name(change_id: object, window_id: str) -> str:
    """Return a name that no other window has."""
    change = re.sub(r"[^A-Za-z0-9._-]+", "-", change_id).strip("-._") if isinstance(change_id, str) else ""
    return f"{change[:80] or 'window'}-{window_id.rpartition('-')[2]}"


def _has_started(requested: RequestedWindow, now: datetime) -> bool:
    """Return whether one of its periods has started since its creation."""
    since = state_at(requested.window.periods, requested.created_at)
    return since.is_inside or (since.changes_at is not None and since.changes_at <= now)
