"""The state of the engine, the alerts, and the writes of the engine's passes.

Alerts have one row each, written by evaluators. An inactive alert has no row, so that jobs in good health cost nothing.

A pass reads the head first, then everything else. Each of its transactions replaces the head by its etag, so of several
processes one writes what it has read; the others read again and decide again. Work over many rows runs in a thread, so
that runs are not late in a storm of alerts.

Each transaction is complete for the incidents in it: their values, transitions, decisions and notifications. A pass of
several transactions may end between any two of them:

1. Pointers of subjects to incidents. One without its incident is ignored by readers.
2. Incidents that were opened or reopened. Alerts that left the incident of their parent are then in two open incidents,
   and the next pass removes them from the first one, as this one would have done.
3. All other incidents.
4. Alerts without an incident are deleted, and incidents that cannot be reopened are no longer live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import ParamSpec, TypeVar

from jobs.alerting.alert import Alert, AlertStatus
from jobs.formats import parse_instant
from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.values import AlertKey, Incident
from scheduler.stores.alerting.rows import (
    ALERT_PREFIX,
    ALERTING_PLACE,
    ALERTS,
    DECISIONS,
    HEAD_KEY,
    LIVE_PREFIX,
    MEMBERS_PREFIX,
    NOTIFICATIONS,
    TRANSITIONS,
    alert_key,
    can_have_parts,
    count_parts,
    decision_key,
    decode_head,
    decode_incident,
    encode_head,
    encode_incident,
    list_key,
    list_prefix,
    live_key,
    members_key,
    outbox_key,
    rows_prefix,
    subject_key,
    transition_key,
)
from scheduler.stores.port import (
    MAX_ATOMIC_GROUP,
    Change,
    Delete,
    Insert,
    Row,
    RowChanged,
    RowExists,
    Store,
    StoreError,
    Upsert,
    put_row,
)

_T = TypeVar("_T")

LARGE = 100
"""Rows, alerts or members. Work on more takes several milliseconds."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


async def run_sized(
    size: int, work: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Result:
    """Return the result of pure work: at once if it is small, else from a thread."""
    if size <= LARGE:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """`etag`: empty for an alert without a row."""

    alert: Alert
    etag: str = ""

    @property
    def key(self) -> AlertKey:
        return AlertKey(self.alert.subject, self.alert.rule)


class AlertRows:
    """All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, key: AlertKey) -> StoredAlert:
        """Return the alert; an inactive one if it has no row."""
        row = await self._store.get_row(*ALERTING_PLACE, alert_key(key))
        return StoredAlert(Alert(key.subject, key.rule)) if row is None else _read_alert(row)

    async def list_all(self) -> list[StoredAlert]:
        """Return the alerts that are not inactive."""
        rows = await list_prefix(self._store, ALERT_PREFIX)
        return await run_sized(len(rows), lambda: [_read_alert(row) for row in rows])

    async def list_of(self, subject: str) -> list[StoredAlert]:
        """Return the alerts of a subject that are not inactive."""
        prefix = alert_key(AlertKey(subject, ""))
        rows = await list_prefix(self._store, prefix)
        return [_read_alert(row) for row in rows]

    async def write(self, alert: Alert, etag: str) -> StoredAlert:
        """Store an alert; an inactive one is deleted. `etag`: of the alert that was read, empty without a row.

        Raises:
            RowExists, RowChanged: another process, or a pass of the engine, has changed it: read it again.
        """
        stored = StoredAlert(alert)
        key = alert_key(stored.key)
        if alert.status is AlertStatus.INACTIVE:
            if etag:
                await self._store.apply(_delete(key, etag))
            return stored
        (written,) = await self._store.apply(put_row(*ALERTING_PLACE, key, ALERTS.encode(alert), etag))
        return StoredAlert(alert, written)


def _read_alert(row: Row) -> StoredAlert:
    return StoredAlert(ALERTS.decode(row.body), row.etag)


MAX_TRANSACTION = 2_000_000
"""Characters. Azure Tables accepts 4 MiB."""
_TEXTS_PER_ROW = 500
"""Transitions or decisions in a row."""
Unit = Sequence[Change]
"""Rows of one transaction, without the head."""


def build_transactions(
    steps: Sequence[IncidentStep], settled: Iterable[StoredAlert], expired: Iterable[str], pass_number: int
) -> list[Unit]:
    """Return the transactions of a pass in order. Raises StoreError if an incident has too many rows for one."""
    ordered = sorted(steps, key=lambda step: not _is_opening(step))
    pointers = [[pointer] for step in ordered for pointer in _pointers(step)]
    incidents = [_rows_of(step, pass_number) for step in ordered]
    deletions = [
        *([_delete(alert_key(alert.key), alert.etag)] for alert in settled),
        *([_delete(live_key(incident))] for incident in expired),
    ]
    return list(_pack(chain(pointers, incidents, deletions)))


def _is_opening(step: IncidentStep) -> bool:
    return step.incident.is_open and (step.before is None or not step.before.is_open)


def _pointers(step: IncidentStep) -> Iterator[Change]:
    """A row of another subject is in the list of that subject already, or left it and is in the history of both."""
    subjects_before = set() if step.before is None else {member.key.subject for member in step.before.members}
    for subject in dict.fromkeys(member.key.subject for member in step.incident.members):
        if subject not in subjects_before:
            yield _upsert(subject_key(subject, step.incident.id), "1")


def _rows_of(step: IncidentStep, pass_number: int) -> list[Change]:
    incident = step.incident
    body, parts = encode_incident(incident)
    before = 0 if step.before is None else count_parts(step.before)
    transitions = [
        _insert(transition_key(incident.id, some[0].number), TRANSITIONS.encode(some))
        for some in _split(step.transitions)
    ]
    decisions = [
        _insert(decision_key(incident.id, some[0].at, pass_number, part), DECISIONS.encode(some))
        for part, some in enumerate(_split(step.decisions))
    ]
    notifications = [
        _insert(outbox_key(said.channel, said.incident, said.number), NOTIFICATIONS.encode(said))
        for said in step.notifications
    ]
    return [
        _upsert(live_key(incident.id), body),
        _upsert(list_key(incident.id), body),
        *(_upsert(members_key(incident.id, number), part) for number, part in enumerate(parts)),
        *(_delete(members_key(incident.id, number)) for number in range(len(parts), before)),
        *transitions,
        *decisions,
        *notifications,
    ]


def _pack(units: Iterable[Unit]) -> Iterator[Unit]:
    """Yield as many units together as a transaction can have, next to the head."""
    together: list[Change] = []
    size = 0
    for unit in units:
        length = sum(len(change.body) for change in unit if not isinstance(change, Delete))
        if len(unit) >= MAX_ATOMIC_GROUP:
            raise StoreError(f"an incident has {len(unit)} rows, more than a transaction of {MAX_ATOMIC_GROUP} rows")
        if together and (len(together) + len(unit) >= MAX_ATOMIC_GROUP or size + length > MAX_TRANSACTION):
            yield together
            together, size = [], 0
        together.extend(unit)
        size += length
    if together:
        yield together


def _split(texts: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(texts), _TEXTS_PER_ROW):
        yield texts[start : start + _TEXTS_PER_ROW]


def _insert(key: str, body: str) -> Change:
    return Insert(*ALERTING_PLACE, key, body)


def _upsert(key: str, body: str) -> Change:
    return Upsert(*ALERTING_PLACE, key, body)


def _delete(key: str, etag: str = "") -> Change:
    return Delete(*ALERTING_PLACE, key, etag)


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
        ended.sort(key=lambda incident: (incident.resolved_at or incident.opened_at, incident.id), reverse=True)
        return ended


class EngineRows:
    """All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._alerts = AlertRows(store)

    async def read(self, last_read: EngineState | None = None) -> EngineState:
        """Return the current state. `last_read`: of a previous call; unchanged incidents are not read again."""
        row = await self._store.get_row(*ALERTING_PLACE, HEAD_KEY)
        head = EngineHead() if row is None else _read_head(row)
        if last_read is not None and last_read.head == head:
            return EngineState(head, last_read.incidents, tuple(await self._alerts.list_all()))
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
            fence = put_row(*ALERTING_PLACE, HEAD_KEY, encode_head(head.number + 1, at.isoformat()), head.etag)
            try:
                etags = await self._store.apply(fence, *changes)
            except (RowChanged, RowExists) as error:
                raise EngineMoved(str(error)) from error
            head = EngineHead(head.number + 1, at, etags[0])
        return head

    async def _list_live(self) -> list[Incident]:
        rows = await list_prefix(self._store, LIVE_PREFIX)
        return [await read_incident(self._store, row) for row in rows]


async def read_incident(store: Store, row: Row) -> Incident:
    """Return the incident of its row, with further members from their rows."""
    incident = decode_incident(row.body)
    if not can_have_parts(incident):
        return incident
    prefix = rows_prefix(MEMBERS_PREFIX, incident.id)
    parts = await list_prefix(store, prefix)
    bodies = [part.body for part in parts]
    return await run_sized(sum(map(len, bodies)) // _MEMBER_LENGTH, decode_incident, row.body, bodies)


def _read_head(row: Row) -> EngineHead:
    number, at = decode_head(row.body)
    return EngineHead(number, parse_instant(at), row.etag)
