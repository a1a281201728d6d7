"""Creates, ends and deletes silences, and maintenance windows that are not in job files.

A pipeline starts a window with `{"name": "rollout", "for": "30m", "select": ..., "change_id": ...}`: it begins now and
ends by itself, also if the pipeline fails.

What a caller that is limited to tags creates concerns only jobs that have one of these tags, whatever it selects
(jobs.incidents.suppression.finding). It sees and changes only what is limited so (Principal.manages).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from jobs.formats import format_count, format_instant, format_iso_instant
from jobs.incidents.suppression.spans import state_at
from jobs.incidents.suppression.windows import (
    MAX_SILENCE,
    AlertSubject,
    ExplicitSelector,
    MaintenanceWindow,
    RequestedWindow,
    Silence,
)
from jobs.model_base import FILE_CONTEXT
from jobs.ports import Clock
from jobs.problems import validation_problems
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog, Operation
from scheduler.errors import Conflict, InvalidArgument, InvalidDefinition, NotFound
from scheduler.features.suppressions.models import CreatedSilenceModel, CreatedWindowModel, SilenceModel, WindowModel
from scheduler.features.suppressions.queries import format_tags, view_silence, view_window
from scheduler.identity.principal import Caller
from scheduler.operations import check_reason, find_end
from scheduler.stores.alerting.suppressions import StoredSuppression, StoredSuppressions, create_suppression_id
from scheduler.stores.port import RowChanged

MAX_CURRENT_SUPPRESSIONS = 1000
"""Silences, and windows, that have not ended: each pass of the engine considers all of them."""

S = TypeVar("S", Silence, RequestedWindow)
ModelT = TypeVar("ModelT", SilenceModel, WindowModel)


class _SuppressionManager(Operation, Generic[S, ModelT]):
    """What silences and windows have in common: to end one, and to delete one that has not started.

    All methods raise StoreError: then nothing was changed.
    """

    noun: str
    """As in messages, such as `maintenance window`."""
    action_prefix: str
    """Of the actions in the audit trail, such as `window`."""

    def __init__(
        self,
        catalog: Catalog,
        stored: StoredSuppressions[S],
        clock: Clock,
        audit: AuditTrail,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_change`: called after each change, which a pass of the engine should observe soon."""
        self._catalog = catalog
        self._stored: StoredSuppressions[S] = stored
        self._clock = clock
        self._audit = audit
        self._on_change = on_change

    async def end(self, reference: str, caller: Caller) -> ModelT:
        """End it now, by its id; a window also by its name if it has not ended. One that recurs does not begin again.

        Raises NotFound; Conflict: it has ended, or it has not started.
        """
        stored = await self._get(reference, caller)
        before, now = stored.value, self._clock.now()
        if before.ends_at is not None and now >= before.ends_at:
            raise Conflict(f"{self.noun} {before.name} ended at {format_instant(before.ends_at)}")
        if not self._has_started(before, now):
            raise Conflict(f"{self.noun} {before.name} {self._describe_start(before, now)}: delete it instead")
        after = self._cut(before, now)
        change = self._describe("end", f"{self.noun} {before.name} was ended", before, after)
        try:
            async with audited(self._audit, caller, change):
                await self._stored.replace(stored, after)
        except RowChanged:
            raise self._changed_meanwhile() from None
        self._on_change()
        return self._view(after, now)

    async def delete(self, reference: str, caller: Caller) -> None:
        """Delete one that has not started; others are part of the history. Raises NotFound, Conflict."""
        stored = await self._get(reference, caller)
        before, now = stored.value, self._clock.now()
        if self._has_started(before, now):
            is_over = before.ends_at is not None and now >= before.ends_at
            advice = "it is retained as part of the history" if is_over else "end it instead"
            raise Conflict(f"{self.noun} {before.name} {self._describe_start(before, now)}: {advice}")
        change = self._describe("delete", f"{self.noun} {before.name} was deleted", before, None)
        try:
            async with audited(self._audit, caller, change):
                await self._stored.delete(stored)
        except RowChanged:
            raise self._changed_meanwhile() from None
        self._on_change()

    async def _insert(self, new: S, text: str, caller: Caller) -> tuple[str, ...]:
        """Store a new one and return the names of the jobs that it selects now. `text`: its end in the audit trail."""
        jobs = self._select_jobs(new)
        summary = f"{self.noun} {new.name} of {format_count(len(jobs), 'job')}{text} was created"
        change = AuditedChange(f"{self.action_prefix}.create", new.id, summary, jobs, after=self._to_fields(new))
        async with audited(self._audit, caller, change):
            await self._stored.insert(new)
        self._on_change()
        return jobs

    async def _list_current(self, now: datetime) -> list[S]:
        """Return those that have not ended. Raises Conflict: there are too many for another one."""
        stored = await self._stored.list_unarchived()
        current = [each.value for each in stored if each.value.ends_at is None or now < each.value.ends_at]
        if len(current) >= MAX_CURRENT_SUPPRESSIONS:
            raise Conflict(f"{len(current)} {self.noun}s are in force or planned, the maximum: end others")
        return current

    def _select_jobs(self, value: S) -> tuple[str, ...]:
        """Return the names of the jobs of the catalog that it selects, by name. Severities do not matter."""
        select = self._selector_of(value)
        jobs = (entry.job for entry in self._catalog.snapshot)
        subjects = (AlertSubject(job.name, job.check.kind, "", job.tags) for job in jobs)
        return tuple(sorted(subject.name for subject in subjects if select.matches_any_severity_of(subject)))

    def _describe(self, action: str, summary: str, before: S, after: S | None) -> AuditedChange:
        return AuditedChange(
            f"{self.action_prefix}.{action}",
            before.id,
            summary,
            self._select_jobs(before),
            self._to_fields(before),
            None if after is None else self._to_fields(after),
        )

    def _changed_meanwhile(self) -> Conflict:
        return Conflict(f"the {self.noun} was changed by another request at the same time: retry")

    @abstractmethod
    async def _get(self, reference: str, caller: Caller) -> StoredSuppression[S]: ...

    @abstractmethod
    def _selector_of(self, value: S) -> ExplicitSelector: ...

    @abstractmethod
    def _has_started(self, value: S, now: datetime) -> bool: ...

    @abstractmethod
    def _describe_start(self, value: S, now: datetime) -> str: ...

    @abstractmethod
    def _cut(self, value: S, now: datetime) -> S: ...

    @abstractmethod
    def _view(self, value: S, now: datetime) -> ModelT: ...

    @abstractmethod
    def _to_fields(self, value: S) -> dict[str, object]:
        """Return its members for the audit trail."""


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


class SilenceManager(_SuppressionManager[Silence, SilenceModel]):
    noun = action_prefix = "silence"

    async def create(self, new: NewSilence, caller: Caller) -> CreatedSilenceModel:
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
        await self._list_current(now)
        silence = _create_silence(new, starts_at, ends_at, caller, now)
        jobs = await self._insert(silence, f" until {format_instant(silence.ends_at)}", caller)
        return CreatedSilenceModel.from_object(self._view(silence, now), jobs=jobs)

    async def _get(self, reference: str, caller: Caller) -> StoredSuppression[Silence]:
        stored: StoredSuppression[Silence] | None = await self._stored.find(reference)
        if stored is None or not caller.principal.manages(stored.value.limited_to):
            raise NotFound(f"there is no silence with the id {reference!r}")
        return stored

    def _selector_of(self, value: Silence) -> ExplicitSelector:
        return value.select

    def _has_started(self, value: Silence, now: datetime) -> bool:
        return now > value.starts_at

    def _describe_start(self, value: Silence, now: datetime) -> str:
        return f"{'started' if now > value.starts_at else 'starts'} at {format_instant(value.starts_at)}"

    def _cut(self, value: Silence, now: datetime) -> Silence:
        return Silence(**{**dict(value), "ends_at": now})

    def _view(self, value: Silence, now: datetime) -> SilenceModel:
        return view_silence(value, now)

    def _to_fields(self, value: Silence) -> dict[str, object]:
        return {
            "select": value.select.model_dump(mode="json", exclude_defaults=True),
            "starts_at": format_iso_instant(value.starts_at),
            "ends_at": format_iso_instant(value.ends_at),
            "reason": value.reason,
            "limited_to": format_tags(value.limited_to),
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


class WindowManager(_SuppressionManager[RequestedWindow, WindowModel]):
    noun = "maintenance window"
    action_prefix = "window"

    async def create(self, definition: Mapping[str, Any], caller: Caller) -> CreatedWindowModel:
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
        current = await self._list_current(now)
        same = next((window for window in current if window.name == requested.name), None)
        if same is not None and caller.principal.manages(same.limited_to):
            raise Conflict(f"maintenance window {same.name} ({same.id}) has not ended: end it, or choose another name")
        jobs = await self._insert(requested, "", caller)
        return CreatedWindowModel.from_object(self._view(requested, now), jobs=jobs)

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

    async def _get(self, reference: str, caller: Caller) -> StoredSuppression[RequestedWindow]:
        now = self._clock.now()
        stored = await self._stored.find(reference)
        if stored is None:
            named = [each for each in await self._stored.list_unarchived() if each.value.name == reference]
            visible = [each for each in named if caller.principal.manages(each.value.limited_to)]
            current = [each for each in visible if each.value.ends_at is None or now < each.value.ends_at]
            stored = next(iter(current or reversed(visible)), None)
        if stored is None or not caller.principal.manages(stored.value.limited_to):
            self._refuse_defined(reference, caller)
            raise NotFound(f"there is no maintenance window {reference!r} that a request has created")
        return stored

    def _refuse_defined(self, window: str, caller: Caller) -> None:
        """Raise Conflict if a job file defines a window of this name, which only a caller without a limit sees."""
        for entry in () if caller.principal.tags else self._catalog.snapshot.alerting.entries_of("windows"):
            if entry.value.name == window:
                raise Conflict(f"maintenance window {window} is defined in {entry.origin}: change it there")

    def _selector_of(self, value: RequestedWindow) -> ExplicitSelector:
        return value.window.select

    def _has_started(self, value: RequestedWindow, now: datetime) -> bool:
        """Return whether one of its periods has started since its creation."""
        since = state_at(value.window.periods, value.created_at)
        return since.is_inside or (since.changes_at is not None and since.changes_at <= now)

    def _describe_start(self, value: RequestedWindow, now: datetime) -> str:
        return "has started" if self._has_started(value, now) else "has not started"

    def _cut(self, value: RequestedWindow, now: datetime) -> RequestedWindow:
        return RequestedWindow(**{**dict(value), "ended_at": now})

    def _view(self, value: RequestedWindow, now: datetime) -> WindowModel:
        return view_window(value, now)

    def _to_fields(self, value: RequestedWindow) -> dict[str, object]:
        return {
            **value.window.model_dump(mode="json", by_alias=True, exclude_defaults=True),
            "ended_at": None if value.ended_at is None else format_iso_instant(value.ended_at),
            "limited_to": format_tags(value.limited_to),
        }


def _create_name(change_id: object, window_id: str) -> str:
    """Return a name that no other window has."""
    change = re.sub(r"[^A-Za-z0-9._-]+", "-", change_id).strip("-._") if isinstance(change_id, str) else ""
    return f"{change[:80] or 'window'}-{window_id.rpartition('-')[2]}"
