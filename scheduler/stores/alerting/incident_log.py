"""Reads incidents, their transitions and decisions, page by page, and deletes old ones."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from jobs.incidents.values import AlertDecision, Incident, IncidentStatus, Transition
from scheduler.stores.alerting.engine import read_incident
from scheduler.stores.alerting.rows import (
    ALERTING_PLACE,
    DECISION_PREFIX,
    DECISIONS,
    HEAD_KEY,
    LIST_PREFIX,
    LIVE_PREFIX,
    MEMBERS_PREFIX,
    POSITION,
    THREAD_PREFIX,
    TRANSITION_PREFIX,
    TRANSITIONS,
    UNDELIVERED_PREFIX,
    Codec,
    is_incident_id,
    list_key,
    list_prefix,
    reverse_id,
    rows_prefix,
    subject_key,
    subject_prefix,
)
from scheduler.stores.port import MAX_ATOMIC_GROUP, Delete, Row, Store
from scheduler.stores.rows import InvalidContinuation, end_of, iterate_pages, list_all_rows
from scheduler.stores.runs.keys import DueRange, instant_before

_T = TypeVar("_T")
_ENTRY_POSITION = re.compile(r"([\d~]{8,27})\.(\d{1,3})")
_ROWS_AT_ONCE = 20
_INCIDENT_PREFIXES = (MEMBERS_PREFIX, TRANSITION_PREFIX, DECISION_PREFIX, THREAD_PREFIX, UNDELIVERED_PREFIX)


@dataclass(frozen=True, slots=True)
class IncidentPage:
    """Newest first. `continuation`: the page continues after it; empty if no more exist."""

    incidents: tuple[Incident, ...]
    continuation: str = ""


@dataclass(frozen=True, slots=True)
class EntryPage(Generic[_T]):
    """Transitions or decisions of an incident, oldest first. `continuation`: as in IncidentPage."""

    entries: tuple[_T, ...]
    continuation: str = ""


class IncidentLog:
    """All methods raise StoreError; those with `after` raise InvalidContinuation."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read_version(self) -> str:
        """Return what each change of an incident replaces: the etag of the head, empty before the first one."""
        row = await self._store.get_row(*ALERTING_PLACE, HEAD_KEY)
        return "" if row is None else row.etag

    async def find(self, incident: str) -> Incident | None:
        if not is_incident_id(incident):
            return None
        row = await self._store.get_row(*ALERTING_PLACE, list_key(incident))
        return None if row is None else await read_incident(self._store, row)

    async def list_page(
        self,
        *,
        subject: str | None = None,
        status: IncidentStatus | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int,
        after: str = "",
    ) -> IncidentPage:
        """Return incidents in which an alert of `subject` is or was a member, of the time of their first alert."""
        if after and POSITION.fullmatch(after) is None:
            raise InvalidContinuation(after)
        if status is IncidentStatus.OPEN and subject is None:
            return await self._list_open(DueRange(since, until), limit, after)
        prefix = LIST_PREFIX if subject is None else subject_prefix(subject)
        bounds = DueRange(since, until)
        first, end = prefix + max(after, bounds.after), prefix + bounds.end
        incidents: list[Incident] = []
        async for incident in self._iterate(prefix, first, end, limit + 1):
            if status is None or incident.status is status:
                incidents.append(incident)
                if len(incidents) > limit:
                    break
        return _cut(incidents, limit)

    async def list_transitions(self, incident: str, *, limit: int, after: str = "") -> EntryPage[Transition]:
        return await self._read_entries(rows_prefix(TRANSITION_PREFIX, incident), TRANSITIONS, limit, after)

    async def list_decisions(self, incident: str, *, limit: int, after: str = "") -> EntryPage[AlertDecision]:
        return await self._read_entries(rows_prefix(DECISION_PREFIX, incident), DECISIONS, limit, after)

    async def list_transitions_between(self, first: str, last: str) -> dict[str, list[Transition]]:
        """Return the transitions of all incidents whose ids are in this range, by incident: few requests for many."""
        return await self._read_between(TRANSITION_PREFIX, TRANSITIONS, first, last)

    async def list_decisions_between(self, first: str, last: str) -> dict[str, list[AlertDecision]]:
        """Return the decisions of all incidents whose ids are in this range, by incident."""
        return await self._read_between(DECISION_PREFIX, DECISIONS, first, last)

    async def _read_between(
        self, beginning: str, codec: Codec[Sequence[_T]], first: str, last: str
    ) -> dict[str, list[_T]]:
        entries: dict[str, list[_T]] = {}
        end = end_of(rows_prefix(beginning, last))
        rows = await list_all_rows(self._store, *ALERTING_PLACE, after=beginning + first, until=end)
        for row in rows:
            incident = row.key[len(beginning) :].partition("~")[0]
            entries.setdefault(incident, []).extend(codec.decode(row.body))
        return entries

    async def _read_entries(self, prefix: str, codec: Codec[Sequence[_T]], limit: int, after: str) -> EntryPage[_T]:
        """A row contains several entries. A position is the end of the row's key and a number within the row."""
        position = _ENTRY_POSITION.fullmatch(after) if after else None
        if after and position is None:
            raise InvalidContinuation(after)
        entries: list[tuple[str, _T]] = []
        async for row in self._iterate_rows(prefix, "" if position is None else position[1]):
            end = row.key[len(prefix) :]
            for number, entry in enumerate(codec.decode(row.body)):
                if position is None or end != position[1] or number > int(position[2]):
                    entries.append((f"{end}.{number}", entry))
            if len(entries) > limit:
                break
        page = tuple(entry for _, entry in entries[:limit])
        return EntryPage(page, entries[limit - 1][0] if len(entries) > limit else "")

    async def _iterate_rows(self, prefix: str, first: str) -> AsyncIterator[Row]:
        """Yield rows from this one on."""
        if first and (row := await self._store.get_row(*ALERTING_PLACE, prefix + first)) is not None:
            yield row
        after, until = prefix + first, end_of(prefix)
        async for rows in iterate_pages(self._store, *ALERTING_PLACE, after=after, until=until, size=_ROWS_AT_ONCE):
            for row in rows:
                yield row

    async def prune(self, now: datetime, age_s: float) -> int:
        """Delete the incidents that were resolved more than `age_s` ago. Return their number."""
        end = instant_before(now, age_s)
        after, deleted = LIST_PREFIX + DueRange(until=end).after, 0
        async for rows in iterate_pages(self._store, *ALERTING_PLACE, after=after, until=end_of(LIST_PREFIX), size=100):
            for row in rows:
                incident = await read_incident(self._store, row)
                if incident.resolved_at is not None and incident.resolved_at <= end:
                    await self._delete(incident, row)
                    deleted += 1
        return deleted

    async def _delete(self, incident: Incident, row: Row) -> None:
        """The row of the list goes last: an interrupted deletion is repeated."""
        keys = [subject_key(member.key.subject, incident.id) for member in incident.members]
        for beginning in _INCIDENT_PREFIXES:
            prefix = rows_prefix(beginning, incident.id)
            rows = await list_prefix(self._store, prefix, bodies=False)
            keys += [part.key for part in rows]
        keys = [*dict.fromkeys(keys), row.key]
        for start in range(0, len(keys), MAX_ATOMIC_GROUP):
            await self._store.apply(*(Delete(*ALERTING_PLACE, key) for key in keys[start : start + MAX_ATOMIC_GROUP]))

    async def _list_open(self, bounds: DueRange, limit: int, after: str) -> IncidentPage:
        rows = await list_prefix(self._store, LIVE_PREFIX)
        incidents = []
        for row in reversed(rows):
            position = reverse_id(row.key[len(LIVE_PREFIX) :])
            if max(after, bounds.after) < position < bounds.end:
                incident = await read_incident(self._store, row)
                if incident.is_open:
                    incidents.append(incident)
        return _cut(sorted(incidents, key=lambda incident: reverse_id(incident.id)), limit)

    async def _iterate(self, prefix: str, after: str, until: str, size: int) -> AsyncIterator[Incident]:
        async for rows in iterate_pages(self._store, *ALERTING_PLACE, after=after, until=until, size=min(size, 100)):
            if prefix == LIST_PREFIX:
                for row in rows:
                    yield await read_incident(self._store, row)
            else:
                ids = [reverse_id(row.key[len(prefix) :]) for row in rows]
                for incident in await asyncio.gather(*map(self.find, ids)):
                    if incident is not None:  # else the pass that wrote the pointer was interrupted
                        yield incident


def _cut(incidents: Sequence[Incident], limit: int) -> IncidentPage:
    page = tuple(incidents[:limit])
    return IncidentPage(page, reverse_id(page[-1].id) if len(incidents) > limit else "")
