"""Creates, ends and deletes silences, and maintenance windows that are not in job files.

A pipeline starts a window with `{"name": "rollout", "for": "30m", "select": ..., "change_id": ...}`: it begins now and
ends by itself, also if the pipeline fails.

What a caller that is limited to tags creates concerns only jobs that have one of these tags, whatever it selects
(jobs.incidents.suppression.finding). It sees and changes only what is limited so (Principal.manages).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from jobs.formats.counts import format_count
from jobs.formats.instants import format_instant, format_iso_instant
from jobs.incidents.suppression.spans import state_at
from jobs.incidents.suppression.windows import (
    MAX_SILENCE,
    AlertSubject,
    ExplicitSelector,
    MaintenanceWindow,
    RequestedWindow,
    Silence,
    SubjectSelector,
)
from jobs.model_base import FILE_CONTEXT
from jobs.ports import Clock
from jobs.problems import validation_problems
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog, Operation
from scheduler.errors import Conflict, InvalidArgument, InvalidDefinition, NotFound
from scheduler.identity.principal import Caller
from scheduler.operations import check_reason, find_end
from scheduler.stores.alerting.suppressions import StoredSuppression, StoredSuppressions, create_suppression_id
from scheduler.stores.port import RowChanged

MAX_CURRENT_SUPPRESSIONS = 1000
"""Silences, and windows, that have not ended: each pass of the engine considers all of them."""


def select_jobs(catalog: Catalog, selector: SubjectSelector) -> tuple[str, ...]:
    """Return the names of the jobs of a catalog that are selected, by name. Severities do not matter."""
    return tuple(
        sorted(
            entry.job.name
            for entry in catalog.snapshot
            if selector.matches_any_severity_of(AlertSubject(entry.job.name, entry.job.check.kind, "", entry.job.tags))
        )
    )


@asynccontextmanager
async def conflict_if_changed(what: str) -> AsyncIterator[None]:
    """Turn RowChanged into Conflict. `what`: such as `the silence`."""
    try:
        yield
    except RowChanged:
        raise Conflict(f"{what} was changed by another request at the same time: retry") from None


_PAST_START = timedelta(minutes=5)
"""By which a start may be in the past, because clocks differ and requests take time."""


@dataclass(frozen=True, slots=True)
class NewSilence:
    """`starts_at`: None for now. `select`: `all: true`, or by names, tags, severities and kinds.

    One of `ends_at` and `seconds`, from the start on, is required.
    """

    select: ExplicitSelector
    ends_at: datetime | None = None
    starts_at: datetime | None = None
    reason: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CreatedSilence:
    """`jobs`: those that it selects now; none if it selects nothing, which is most likely an error of the caller."""

    stored: StoredSuppression[Silence]
    jobs: tuple[str, ...]


class SilenceManager(Operation):
    """All methods raise StoreError: then nothing was changed."""

    def __init__(
        self,
        catalog: Catalog,
        silences: StoredSuppressions[Silence],
        clock: Clock,
        audit: AuditTrail,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_change`: called after each change, which a pass of the engine should observe soon."""
        self._catalog = catalog
        self._on_change = on_change
        self._silences = silences
        self._clock = clock
        self._audit = audit

    async def create(self, new: NewSilence, caller: Caller) -> CreatedSilence:
        """Create a silence. For a caller that is limited to tags it is limited to jobs with one of these tags.

        Raises:
            InvalidArgument: an instant is in the past or out of order, or the reason is too long.
            Conflict: there are too many silences.
        """
        now = self._clock.now()
        starts_at = now if new.starts_at is None else new.starts_at
        ends_at = find_end("ends_at", new.ends_at, new.seconds, starts_at)
        _check_times(starts_at, ends_at, now)
        check_reason(new.reason)
        current = [each for each in await self._silences.list_unarchived() if now < each.value.ends_at]
        if len(current) >= MAX_CURRENT_SUPPRESSIONS:
            raise Conflict(f"{len(current)} silences are in force or planned, the maximum: end others")
        silence = _create_silence(new, starts_at, ends_at, caller, now)
        jobs = select_jobs(self._catalog, new.select)
        count = format_count(len(jobs), "job")
        summary = f"silence {silence.id} of {count} until {format_instant(silence.ends_at)} was created"
        change = AuditedChange("silence.create", silence.id, summary, jobs, after=describe_silence(silence))
        async with audited(self._audit, caller, change):
            stored = await self._silences.insert(silence)
        self._on_change()
        return CreatedSilence(stored, jobs)

    async def end(self, silence_id: str, caller: Caller) -> Silence:
        """End a silence now. Raises NotFound; Conflict: it is not in force."""
        stored = await self._get(silence_id, caller)
        before, now = stored.value, self._clock.now()
        if now >= before.ends_at:
            raise Conflict(f"silence {before.id} ended at {format_instant(before.ends_at)}")
        if now <= before.starts_at:
            raise Conflict(f"silence {before.id} starts at {format_instant(before.starts_at)}: delete it instead")
        after = Silence(**{**dict(before), "ends_at": now})
        change = self._describe("silence.end", f"silence {before.id} was ended", before, after)
        async with audited(self._audit, caller, change), conflict_if_changed("the silence"):
            await self._silences.replace(stored, after)
        self._on_change()
        return after

    async def delete(self, silence_id: str, caller: Caller) -> None:
        """Delete a silence that has not started; others are part of the history. Raises NotFound, Conflict."""
        stored = await self._get(silence_id, caller)
        silence, now = stored.value, self._clock.now()
        if now > silence.starts_at:
            advice = "end it instead" if now < silence.ends_at else "it is retained as part of the history"
            raise Conflict(f"silence {silence.id} started at {format_instant(silence.starts_at)}: {advice}")
        change = self._describe("silence.delete", f"silence {silence.id} was deleted", silence, None)
        async with audited(self._audit, caller, change), conflict_if_changed("the silence"):
            await self._silences.delete(stored)
        self._on_change()

    async def _get(self, silence_id: str, caller: Caller) -> StoredSuppression[Silence]:
        stored = await self._silences.find(silence_id)
        if stored is None or not caller.principal.manages(stored.value.limited_to):
            raise NotFound(f"there is no silence with the id {silence_id!r}")
        return stored

    def _describe(self, action: str, summary: str, before: Silence, after: Silence | None) -> AuditedChange:
        return AuditedChange(
            action,
            before.id,
            summary,
            select_jobs(self._catalog, before.select),
            describe_silence(before),
            None if after is None else describe_silence(after),
        )


def describe_silence(silence: Silence) -> dict[str, object]:
    """Return its members for the audit trail."""
    return {
        "select": silence.select.model_dump(mode="json", exclude_defaults=True),
        "starts_at": format_iso_instant(silence.starts_at),
        "ends_at": format_iso_instant(silence.ends_at),
        "reason": silence.reason,
        "limited_to": [f"{key}={value}" for key, value in silence.limited_to],
    }


def _create_silence(new: NewSilence, starts_at: datetime, ends_at: datetime, caller: Caller, now: datetime) -> Silence:
    try:
        return Silence(
            id=create_suppression_id(now),
            select=new.select,
            starts_at=starts_at,
            ends_at=ends_at,
            author=caller.principal.id,
            created_at=now,
            reason=new.reason,
            limited_to=caller.principal.tags,
        )
    except ValidationError as error:  # the times are valid: the reason has characters that are not displayed
        (problem, *_) = validation_problems(error, Silence)
        raise InvalidArgument(str(problem.key), problem.message) from None


def _check_times(starts_at: datetime, ends_at: datetime, now: datetime) -> None:
    if starts_at < now - _PAST_START:
        raise InvalidArgument("starts_at", f"{format_instant(starts_at)} is in the past: it is {format_instant(now)}")
    if ends_at <= now:
        raise InvalidArgument("ends_at", f"{format_instant(ends_at)} is in the past: it is {format_instant(now)}")
    if ends_at <= starts_at:
        raise InvalidArgument("ends_at", f"{format_instant(ends_at)} is not after starts_at: write a later instant")
    if ends_at - starts_at > MAX_SILENCE:
        raise InvalidArgument("ends_at", f"a silence lasts at most {MAX_SILENCE.days} days: write an earlier instant")


_TIME_KEYS = ("from", "schedule", "weekly", "calendar")


@dataclass(frozen=True, slots=True)
class CreatedWindow:
    """`jobs`: those that it selects now; none if it selects nothing, which is most likely an error of the caller."""

    stored: StoredSuppression[RequestedWindow]
    jobs: tuple[str, ...]


class WindowManager(Operation):
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
