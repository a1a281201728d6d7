"""Which rows the steps of a pass change, and which of them form a transaction. Pure. Used by
scheduler.stores.alerting.repository.

Each transaction is complete for the incidents in it: their values, transitions, decisions and notifications. A pass of
several transactions may end between any two of them:

1. Pointers of subjects to incidents. One without its incident is ignored by readers.
2. Incidents that were opened or reopened. Alerts that left the incident of their parent are then in two open incidents,
   and the next pass removes them from the first one, as this one would have done.
3. All other incidents.
4. Alerts without an incident are deleted, and incidents that cannot be reopened are no longer live.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

from jobs.incidents.engine.step import IncidentStep
from scheduler.stores.alerting.alert_rows import StoredAlert
from scheduler.stores.alerting.codec import (
    DECISIONS,
    NOTIFICATIONS,
    TRANSITIONS,
    count_parts,
    encode_incident,
)
from scheduler.stores.alerting.keys import (
    ALERTING_PARTITION,
    ALERTING_TABLE,
    alert_key,
    decision_key,
    list_key,
    live_key,
    members_key,
    outbox_key,
    subject_key,
    transition_key,
)
from scheduler.stores.port import LARGEST_ATOMIC_GROUP, Change, Delete, Insert, StoreError, Upsert

LARGEST_TRANSACTION = 2_000_000
"""Characters. Azure Tables accepts 4 MiB."""
_TEXTS_PER_ROW = 500
"""Transitions or decisions in a row."""
_T = TypeVar("_T")
Unit = Sequence[Change]
"""Rows of one transaction, without the head."""


def build_transactions(
    steps: Sequence[IncidentStep], settled: Iterable[StoredAlert], expired: Iterable[str], pass_number: int
) -> list[Unit]:
    """Return the transactions of a pass in order. Raises StoreError if an incident has too many rows for one."""
    ordered = sorted(steps, key=lambda step: not _is_opening(step))
    pointers = [[each] for step in ordered for each in _pointers(step)]
    incidents = [_rows_of(step, pass_number) for step in ordered]
    deletions = [
        *([_delete(alert_key(each.key), each.etag)] for each in settled),
        *([_delete(live_key(incident))] for incident in expired),
    ]
    return list(_pack(chain(pointers, incidents, deletions)))


def _is_opening(step: IncidentStep) -> bool:
    return step.incident.is_open and (step.before is None or not step.before.is_open)


def _pointers(step: IncidentStep) -> Iterator[Change]:
    """A row of another subject is in the list of that subject already, or left it and is in the history of both."""
    known = set() if step.before is None else {member.key.subject for member in step.before.members}
    for subject in dict.fromkeys(member.key.subject for member in step.incident.members):
        if subject not in known:
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
        _insert(outbox_key(each.channel, each.incident, each.number), NOTIFICATIONS.encode(each))
        for each in step.notifications
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
        if len(unit) >= LARGEST_ATOMIC_GROUP:
            raise StoreError(
                f"an incident has {len(unit)} rows, more than a transaction of {LARGEST_ATOMIC_GROUP} rows"
            )
        if together and (len(together) + len(unit) >= LARGEST_ATOMIC_GROUP or size + length > LARGEST_TRANSACTION):
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
    return Insert(ALERTING_TABLE, ALERTING_PARTITION, key, body)


def _upsert(key: str, body: str) -> Change:
    return Upsert(ALERTING_TABLE, ALERTING_PARTITION, key, body)


def _delete(key: str, etag: str = "") -> Change:
    return Delete(ALERTING_TABLE, ALERTING_PARTITION, key, etag)
