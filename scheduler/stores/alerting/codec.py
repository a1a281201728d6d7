"""The text of the rows of alerting. Used by the other modules of this folder.

The names of the fields of these values are stored: add fields with a default, never rename. A field with its default is
not stored; an unknown field, of a newer version, is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from jobs.alerting.alert import Alert
from jobs.incidents.values import AlertDecision, Incident, Member, Notification, Transition
from scheduler.stores.port import StoreDamaged
from scheduler.stores.rows import decode_json, encode_json

_T = TypeVar("_T")
INLINE_MEMBERS = 1000
"""Members in the row of an incident. Further ones are in rows of as many each."""
LONGEST_EVIDENCE = 500
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
    if len(member.evidence) <= LONGEST_EVIDENCE:
        return member
    return replace(member, evidence=member.evidence[: LONGEST_EVIDENCE - 1] + "…")
