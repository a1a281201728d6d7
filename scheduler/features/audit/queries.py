"""Reads the audit trail: what a principal may see of it, its head, its verification.

A principal that is limited to tags sees the entries of its jobs only, without what concerns other jobs, and without the
states of jobs that did not exist for it then. Entries about access (refusals, keys, sessions) are for admins without
such a limit.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from scheduler.audit.trail import TAGS_OF_JOBS
from scheduler.catalog.catalog import Catalog, Query
from scheduler.features.audit.models import AuditEntryModel, AuditHeadModel, AuditList
from scheduler.features.audit.verification import ChainVerifier, Verification
from scheduler.features.statistics.periods import ANY_TIME, TimeRange
from scheduler.identity.literals import mask_audit_entry
from scheduler.identity.principal import Principal, Role, written_tags
from scheduler.stores.audit import AuditLog, canonical_json, sequence_of
from scheduler.stores.port import Row
from scheduler.stores.rows import InvalidContinuation


def has_hidden_state(principal: Principal, fields: Mapping[str, Any]) -> bool:
    """Return whether a job had other tags before or after the change: then it did not exist for the principal.

    Also if that is unknown: an entry without the tags of its jobs does not show how they differ.
    """
    states = [state for side in ("before", "after") if isinstance(state := fields.get(side), dict)]
    seen = [written_tags(state["definition"]) for state in states if "definition" in state]
    for state in states:
        tags = state.get(TAGS_OF_JOBS)
        seen += [each if isinstance(each, dict) else {} for each in tags] if isinstance(tags, list) else []
        if state.get("cut") or ("differences" in state and not isinstance(tags, list)):
            return True
    return any(not principal.sees(tags) for tags in seen)


MAX_SCANNED = 5000
"""Entries that a page reads; a page with filters can therefore hold fewer entries than its limit."""
DAMAGED_SUMMARY = "this entry is damaged: `audit verify` names the damages"
_CHUNK = 250
_CLOCK_SKEW = timedelta(minutes=5)
"""Entries of several processes are in order of their times, apart from this."""
_FIRST_INSTANT, _LAST_INSTANT = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_ACCESS_SUBJECTS = frozenset({"access", "api_key", "session"})


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """`principal`: an id, or its part after the colon. `action`: `job.pause`, or its subject `job`."""

    principal: str | None = None
    action: str | None = None
    job: str | None = None
    at: TimeRange = ANY_TIME

    def matches(self, fields: Mapping[str, Any]) -> bool:
        principal, action = str(fields.get("principal")), str(fields.get("action"))
        return (
            self.principal in (None, principal, principal.partition(":")[2])
            and self.action in (None, action, action.partition(".")[0])
            and (self.job is None or self.job in fields.get("jobs", ()))
            and self._is_in_time(_time_of(fields))
        )

    def _is_in_time(self, at: datetime | None) -> bool:
        if at is None:
            return not self.at.is_bounded
        return (self.at.since is None or at >= self.at.since) and (self.at.until is None or at <= self.at.until)


@dataclass(frozen=True, slots=True)
class AuditView:
    """What a principal sees of an entry. `is_partial`: other jobs, and the state before and after, are omitted, or
    literal credentials are masked."""

    number: int
    fields: Mapping[str, Any]
    is_partial: bool
    line: str
    """As stored; of a partial view its fields."""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Newest first. `continuation`: fetches older entries; None on the last page."""

    entries: tuple[AuditView, ...]
    continuation: str | None


class AuditQueries(Query):
    """All methods raise StoreError."""

    def __init__(self, catalog: Catalog, log: AuditLog) -> None:
        self._catalog = catalog
        self._log = log

    async def list_entries(
        self, principal: Principal, criteria: AuditFilter, *, limit: int, continuation: str | None = None
    ) -> AuditList:
        """Return what is shown of a page of list_views. Raises InvalidContinuation, UnknownJob."""
        page = await self.list_views(principal, criteria, limit=limit, continuation=continuation)
        return AuditList(entries=[show_entry(view) for view in page.entries], continuation=page.continuation)

    async def list_views(
        self, principal: Principal, criteria: AuditFilter, *, limit: int, continuation: str | None = None
    ) -> AuditPage:
        """Return a page, newest first.

        Raises:
            InvalidContinuation: this list did not return it.
            UnknownJob: the filter names a job that neither exists nor has entries.
        """
        first = await self._log.read_first_sequence()
        end = await self._newest_number(criteria, continuation, first)
        oldest = max(first, end - MAX_SCANNED + 1)
        views: list[AuditView] = []
        async for row in self._descending(end, oldest):
            end = sequence_of(row) - 1
            fields = _parse(row)
            if criteria.at.since is not None and (at := _time_of(fields)) and at < _earlier(criteria.at.since):
                end = 0
                break
            view = self._view(principal, row, fields)
            if view is not None and criteria.matches(view.fields):
                views.append(view)
                if len(views) == limit:
                    break
        else:
            end = oldest - 1
        has_more = bool(first) and end >= first
        if not views and not has_more and criteria.job is not None and continuation is None:
            self._catalog.get_job(criteria.job)
        return AuditPage(tuple(views), str(end + 1) if has_more else None)

    async def export(self, principal: Principal, at: TimeRange = ANY_TIME) -> AsyncIterator[str]:
        """Yield the entries as lines, oldest first. To a principal that sees all, they are the chain."""
        criteria, first = AuditFilter(at=at), 0
        if at.since is not None:
            oldest, head = await self._log.read_first_sequence(), await self._log.read_head()
            first = await self._last_until(oldest, head.sequence, _earlier(at.since)) + 1
        async for row in self._log.stream_rows(first):
            fields = _parse(row)
            if at.until is not None and (time := _time_of(fields)) and time > _later(at.until):
                return
            view = self._view(principal, row, fields)
            if view is not None and criteria.matches(view.fields):
                yield view.line

    async def read_head(self) -> AuditHeadModel:
        """Return the last entry. `first` is 0 without entries."""
        head, first = await self._log.read_head(), await self._log.read_first_sequence()
        return AuditHeadModel(
            sequence=head.sequence,
            hash=head.hash,
            anchor=f"{head.sequence}:{head.hash}",
            first=first,
            count=head.sequence - first + 1 if first else 0,
        )

    async def verify(self, anchors: Mapping[int, str]) -> Verification:
        """Verify the whole chain. `anchors`: hashes of entries, by number."""
        # The head first: entries that are appended meanwhile are behind it.
        head = await self._log.read_head_row()
        verifier = ChainVerifier(anchors, 0 if head is None else head.sequence)
        async for row in self._log.stream_rows():
            verifier.add(row.body, sequence_of(row))
        if await self._log.read_head_row() == head:  # nothing was appended meanwhile
            verifier.compare_head(head)
        return verifier.finish()

    async def _descending(self, newest: int, oldest: int) -> AsyncIterator[Row]:
        while newest >= max(1, oldest):
            start = max(1, oldest, newest - _CHUNK + 1)
            for row in reversed(await self._log.read_rows(start, newest)):
                if sequence_of(row):
                    yield row
            newest = start - 1

    async def _newest_number(self, criteria: AuditFilter, continuation: str | None, first: int) -> int:
        end = (await self._log.read_head()).sequence
        if continuation is not None:
            if not (continuation.isascii() and continuation.isdigit() and len(continuation) <= 12):
                raise InvalidContinuation(continuation)
            return min(int(continuation) - 1, end)
        return end if criteria.at.until is None else await self._last_until(first, end, _later(criteria.at.until))

    async def _last_until(self, first: int, last: int, until: datetime) -> int:
        """Return the number of the last entry up to an instant, by bisection."""
        while first <= last:
            middle = (first + last) // 2
            rows = await self._log.read_rows(middle, middle)
            at = _time_of(_parse(rows[0])) if rows else None
            if at is not None and at > until:
                last = middle - 1
            else:
                first = middle + 1
        return last

    def _view(self, principal: Principal, row: Row, fields: Mapping[str, Any]) -> AuditView | None:
        view = self._find_view(principal, row, fields)
        if view is None or principal.role is Role.ADMIN:
            return view
        masked = mask_audit_entry(view.fields)
        return view if masked is view.fields else AuditView(view.number, masked, True, canonical_json(masked))

    def _find_view(self, principal: Principal, row: Row, fields: Mapping[str, Any]) -> AuditView | None:
        if not principal.tags:
            is_about_access = str(fields.get("action")).partition(".")[0] in _ACCESS_SUBJECTS
            is_visible = principal.role is Role.ADMIN or not is_about_access
            return AuditView(sequence_of(row), fields, False, row.body) if is_visible else None
        jobs = fields.get("jobs", ())
        at = _time_of(fields)
        visible = [job for job in jobs if self._sees(principal, job) and self._catalog.is_visible(job, at)]
        if not visible:
            return None
        if len(visible) == len(jobs) and not fields.get("jobs_omitted") and not has_hidden_state(principal, fields):
            return AuditView(sequence_of(row), fields, False, row.body)
        hidden = {"jobs": visible, "object": "", "summary": str(fields.get("action")), "before": None, "after": None}
        partial = {key: value for key, value in fields.items() if key not in ("jobs_omitted", "error")} | hidden
        return AuditView(sequence_of(row), partial, True, canonical_json(partial))

    def _sees(self, principal: Principal, job: str) -> bool:
        entry = self._catalog.find_job(job)
        return entry is not None and principal.sees(entry.job.tags)


def show_entry(view: AuditView) -> AuditEntryModel:
    """Return the members that are shown; of an entry with invalid ones, its number alone."""
    members = {key: value for key, value in view.fields.items() if key in AuditEntryModel.model_fields}
    try:
        return AuditEntryModel.model_validate({**members, "partial": view.is_partial})
    except ValidationError:
        return AuditEntryModel(seq=view.number, kind="damaged", summary=DAMAGED_SUMMARY, partial=view.is_partial)


def _parse(row: Row) -> Mapping[str, Any]:
    """Return the fields of a row. Of a damaged one, its number alone."""
    try:
        fields = json.loads(row.body)
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict) and isinstance(fields.get("jobs", []), list):
        return fields
    return {"seq": sequence_of(row), "kind": "damaged", "summary": DAMAGED_SUMMARY}


def _earlier(at: datetime) -> datetime:
    """Return the bound of a range by the clock of another process."""
    return max(at, _FIRST_INSTANT + _CLOCK_SKEW) - _CLOCK_SKEW


def _later(at: datetime) -> datetime:
    return min(at, _LAST_INSTANT - _CLOCK_SKEW) + _CLOCK_SKEW


def _time_of(fields: Mapping[str, Any]) -> datetime | None:
    try:
        at = datetime.fromisoformat(fields["at"])
    except (KeyError, TypeError, ValueError):
        return None
    return at if at.tzinfo is not None else None
