"""Creates, ends and deletes silences. Called by the API and the commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from jobs.formats.counts import format_count
from jobs.formats.instants import format_instant, format_iso_instant
from jobs.incidents.suppression.windows import LONGEST_SILENCE, ExplicitSelector, Silence
from jobs.ports import Clock
from jobs.problems import validation_problems
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog
from scheduler.errors import Conflict, InvalidArgument, NotFound
from scheduler.identity.principal import Caller
from scheduler.operations.alerting.targets import (
    MAX_CURRENT_SUPPRESSIONS,
    conflict_if_changed,
    select_jobs,
)
from scheduler.operations.arguments import check_reason, find_end
from scheduler.stores.suppressions import StoredSuppression, StoredSuppressions, create_suppression_id

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


class SilenceManager:
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
    if ends_at - starts_at > LONGEST_SILENCE:
        raise InvalidArgument(
            "ends_at", f"a silence lasts at most {LONGEST_SILENCE.days} days: write an earlier instant"
        )
