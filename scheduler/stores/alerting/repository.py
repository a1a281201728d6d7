"""The state of the engine, and the writes of its passes. Used by scheduler.alerting.

A pass reads the head first, then everything else. Each of its transactions replaces the head by its etag, so of several
processes one writes what it has read; the others read again and decide again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.formats.instants import parse_instant
from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import Incident
from scheduler.stores.alerting.alert_rows import AlertRows, StoredAlert
from scheduler.stores.alerting.codec import can_have_parts, decode_head, decode_incident, encode_head
from scheduler.stores.alerting.keys import (
    ALERTING_PARTITION,
    ALERTING_TABLE,
    HEAD_KEY,
    LIVE_PREFIX,
    MEMBERS_PREFIX,
    end_of,
    rows_prefix,
)
from scheduler.stores.alerting.large_work import run_sized
from scheduler.stores.alerting.writing import build_transactions
from scheduler.stores.port import Insert, Replace, Row, RowChanged, RowExists, Store
from scheduler.stores.rows import list_all_rows

_MEMBER_LENGTH = 200
"""Characters of a stored member, about."""


class EngineMoved(Exception):
    """Another process has written meanwhile. What this pass had written before stays valid; read and decide again."""


@dataclass(frozen=True, slots=True)
class EngineHead:
    """`number`: of transactions. `at`: of the latest one. `etag`: empty before the first one."""

    number: int = 0
    at: datetime | None = None
    etag: str = ""


@dataclass(frozen=True, slots=True)
class EngineState:
    """`incidents`: those that are open, and those that are resolved and may be reopened."""

    head: EngineHead
    incidents: tuple[Incident, ...]
    alerts: tuple[StoredAlert, ...]

    @property
    def open(self) -> list[Incident]:
        return [incident for incident in self.incidents if incident.is_open]

    @property
    def resolved(self) -> list[Incident]:
        """The newest first."""
        ended = [incident for incident in self.incidents if not incident.is_open]
        return sorted(ended, key=lambda each: (each.resolved_at or each.opened_at, each.id), reverse=True)


class EngineRows:
    """All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._alerts = AlertRows(store)

    async def read(self, known: EngineState | None = None) -> EngineState:
        """Return the current state. `known`: the state of a previous read; unchanged incidents are not read again."""
        row = await self._store.get_row(ALERTING_TABLE, ALERTING_PARTITION, HEAD_KEY)
        head = EngineHead() if row is None else _read_head(row)
        if known is not None and known.head == head:
            return EngineState(head, known.incidents, tuple(await self._alerts.list_all()))
        incidents, alerts = await asyncio.gather(self._list_live(), self._alerts.list_all())
        return EngineState(head, tuple(incidents), tuple(alerts))

    async def write(
        self,
        head: EngineHead,
        at: datetime,
        steps: Sequence[IncidentStep],
        settled: Iterable[StoredAlert] = (),
        expired: Iterable[str] = (),
    ) -> EngineHead:
        """Store the steps of a pass. `expired`: ids of incidents that cannot be reopened. Return the new head.

        Raises:
            EngineMoved: another process has written since the head was read.
        """
        size = sum(len(step.incident.members) + len(step.decisions) for step in steps)
        for changes in await run_sized(size, build_transactions, steps, settled, expired, head.number + 1):
            place = (ALERTING_TABLE, ALERTING_PARTITION, HEAD_KEY, encode_head(head.number + 1, at.isoformat()))
            fence = Replace(*place, head.etag) if head.etag else Insert(*place)
            try:
                etags = await self._store.apply(fence, *changes)
            except (RowChanged, RowExists) as error:
                raise EngineMoved(str(error)) from error
            head = EngineHead(head.number + 1, at, etags[0])
        return head

    async def _list_live(self) -> list[Incident]:
        rows = await list_all_rows(
            self._store, ALERTING_TABLE, ALERTING_PARTITION, after=LIVE_PREFIX, until=end_of(LIVE_PREFIX)
        )
        return [await read_incident(self._store, row) for row in rows]


async def read_incident(store: Store, row: Row) -> Incident:
    """Return the incident of its row, with further members from their rows."""
    incident = decode_incident(row.body)
    if not can_have_parts(incident):
        return incident
    prefix = rows_prefix(MEMBERS_PREFIX, incident.id)
    parts = await list_all_rows(store, ALERTING_TABLE, ALERTING_PARTITION, after=prefix, until=end_of(prefix))
    bodies = [part.body for part in parts]
    return await run_sized(sum(map(len, bodies)) // _MEMBER_LENGTH, decode_incident, row.body, bodies)


def _read_head(row: Row) -> EngineHead:
    number, at = decode_head(row.body)
    return EngineHead(number, parse_instant(at), row.etag)
