"""The keys of table ALERTING_TABLE, and the text of its rows.

    h                              the head of the engine
    a~{subject}~{rule}             an alert that is not inactive
    o~{incident}                   a live incident: open, or resolved so recently that it can be reopened
    i~{reverse id}                 every incident, for lists
    j~{subject}~{reverse id}       a pointer to an incident that an alert of the subject belongs to
    m~{incident}~{part}            further members of an incident with many of them
    e~{incident}~{number}          the transitions of one transaction, from this number on
    d~{incident}~{microseconds}~{writer}     the decisions of one transaction
    n~{channel}~{incident}~{number}    the outbox: a notification about this transition; in place of other channels it
                                       ends with `~for~{channel}` for each of them
    c~{channel}                    the state of a channel: lease, last success, failures
    t~{incident}~{channel}         what the messages of an incident in a channel have in common
    u~{incident}~{number}~{channel}    a notification that could not be delivered

The id of an incident starts with milliseconds. `reverse id` has them subtracted from a constant, so ascending keys give
the newest first. The keys of the outbox contain no other time than that of the id: the order within an incident and a
channel does not depend on clocks.

The names of the fields of the values are stored: add fields with a default, never rename. A field with its default is
not stored; an unknown field, of a newer version, is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from jobs.alerting.alert import Alert
from jobs.incidents.values import AlertDecision, AlertKey, Incident, Member, Notification, Transition
from scheduler.stores.port import Row, Store, StoreDamaged
from scheduler.stores.rows import decode_json, encode_json, end_of, list_all_rows

_T = TypeVar("_T")

ALERTING_TABLE = "alerting"
ALERTING_PARTITION = "all"
ALERTING_PLACE = (ALERTING_TABLE, ALERTING_PARTITION)
HEAD_KEY = "h"
ALERT_PREFIX, LIVE_PREFIX, LIST_PREFIX, SUBJECT_PREFIX = "a~", "o~", "i~", "j~"
MEMBERS_PREFIX, TRANSITION_PREFIX, DECISION_PREFIX, OUTBOX_PREFIX = "m~", "e~", "d~", "n~"
CHANNEL_PREFIX, THREAD_PREFIX, UNDELIVERED_PREFIX = "c~", "t~", "u~"

_LAST_MS = 9_999_999_999_999
_DIGITS = 13
_ID = re.compile(r"\d{13}-[0-9a-f]{1,32}")
POSITION = _ID
"""A reverse id."""


def is_incident_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def reverse_id(incident: str) -> str:
    """Return the position of an incident in lists; of a position, the id."""
    return reverse_of_ms(int(incident[:_DIGITS])) + incident[_DIGITS:]


def reverse_of_ms(ms: int) -> str:
    """Return the beginning of the position of an incident of this time; clamped to the years 1970 to 2286."""
    return f"{_LAST_MS - min(max(ms, 0), _LAST_MS):0{_DIGITS}d}"


def alert_key(key: AlertKey) -> str:
    return f"{ALERT_PREFIX}{key.subject}~{key.rule}"


def live_key(incident: str) -> str:
    return f"{LIVE_PREFIX}{incident}"


def list_key(incident: str) -> str:
    return f"{LIST_PREFIX}{reverse_id(incident)}"


def subject_prefix(subject: str) -> str:
    return f"{SUBJECT_PREFIX}{subject}~"


def subject_key(subject: str, incident: str) -> str:
    return f"{subject_prefix(subject)}{reverse_id(incident)}"


def members_key(incident: str, part: int) -> str:
    return f"{MEMBERS_PREFIX}{incident}~{part:03d}"


def transition_key(incident: str, number: int) -> str:
    return f"{TRANSITION_PREFIX}{incident}~{number:08d}"


def decision_key(incident: str, at: datetime, pass_number: int, part: int) -> str:
    """Return the key of the decisions of a pass: those of passes and deliveries together are in the order of time."""
    return delivery_decision_key(incident, round(at.timestamp() * 1_000_000), pass_number % 10**7 * 1000 + part)


def outbox_key(channel: str, incident: str, number: int) -> str:
    return f"{OUTBOX_PREFIX}{channel}~{incident}~{number:08d}"


def outbox_prefix(channel: str) -> str:
    return f"{OUTBOX_PREFIX}{channel}~"


def channel_key(channel: str) -> str:
    return f"{CHANNEL_PREFIX}{channel}"


def thread_key(incident: str, channel: str) -> str:
    return f"{rows_prefix(THREAD_PREFIX, incident)}{channel}"


def undelivered_key(incident: str, number: int, channel: str) -> str:
    return f"{rows_prefix(UNDELIVERED_PREFIX, incident)}{number:08d}~{channel}"


def delivery_decision_key(incident: str, microseconds: int, suffix: int) -> str:
    """`suffix`: random, below 10 ** 10, or of the pass."""
    return f"{rows_prefix(DECISION_PREFIX, incident)}{microseconds:016d}~{suffix:010d}"


def rows_prefix(beginning: str, incident: str) -> str:
    """Return the beginning of the keys of an incident's members, transitions or decisions."""
    return f"{beginning}{incident}~"


async def list_prefix(store: Store, prefix: str, *, bodies: bool = True) -> list[Row]:
    """Return all rows whose keys have this beginning. Raises StoreUnavailable."""
    return await list_all_rows(
        store, ALERTING_TABLE, ALERTING_PARTITION, after=prefix, until=end_of(prefix), bodies=bodies
    )


INLINE_MEMBERS = 1000
"""Members in the row of an incident. Further ones are in rows of as many each."""
MAX_EVIDENCE = 500
"""Characters of the evidence of a member: a row of members fits into a row of every store."""


class Codec(Generic[_T]):
    """Built when it is first used: a process without alerts does not pay for it."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    @property
    def _adapter(self) -> TypeAdapter[_T]:
        return _adapter_of(self._kind)

    def encode(self, value: _T) -> str:
        return encode_json(self._adapter.dump_python(value, mode="json", exclude_defaults=True))

    def decode(self, text: str) -> _T:
        """Raises StoreDamaged."""
        try:
            return self._adapter.validate_json(text)
        except ValidationError as error:
            raise StoreDamaged(f"a row of alerting cannot be read: {error.errors(include_url=False)[0]}") from None


@cache
def _adapter_of(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


ALERTS: Codec[Alert] = Codec(Alert)
TRANSITIONS: Codec[Sequence[Transition]] = Codec(Sequence[Transition])
DECISIONS: Codec[Sequence[AlertDecision]] = Codec(Sequence[AlertDecision])
MEMBERS: Codec[tuple[Member, ...]] = Codec(tuple[Member, ...])
_INCIDENTS: Codec[Incident] = Codec(Incident)
NOTIFICATIONS: Codec[Notification] = Codec(Notification)


def encode_incident(incident: Incident) -> tuple[str, list[str]]:
    """Return the text of the incident's row, and those of its further members."""
    members = [_shorten(member) for member in incident.members]
    parts = [members[start : start + INLINE_MEMBERS] for start in range(0, len(members), INLINE_MEMBERS)]
    inline = replace(incident, members=tuple(parts[0] if parts else ()))
    return _INCIDENTS.encode(inline), [MEMBERS.encode(tuple(part)) for part in parts[1:]]


def count_parts(incident: Incident) -> int:
    """Return the number of rows of further members."""
    return max(0, len(incident.members) - 1) // INLINE_MEMBERS


def decode_incident(text: str, parts: Iterable[str] = ()) -> Incident:
    incident = _INCIDENTS.decode(text)
    more = [member for part in parts for member in MEMBERS.decode(part)]
    return replace(incident, members=(*incident.members, *more)) if more else incident


def can_have_parts(incident: Incident) -> bool:
    """Return whether an incident was decoded from a row that is full of members."""
    return len(incident.members) >= INLINE_MEMBERS


def encode_head(number: int, at: str) -> str:
    return encode_json({"number": number, "at": at})


def decode_head(text: str) -> tuple[int, str]:
    body = decode_json(text)
    return int(body["number"]), str(body["at"])


def _shorten(member: Member) -> Member:
    if len(member.evidence) <= MAX_EVIDENCE:
        return member
    return replace(member, evidence=member.evidence[: MAX_EVIDENCE - 1] + "…")
