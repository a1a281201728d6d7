"""The default titles of messages, `DOWN checkout since 03:01 (3 of 5 runs failed)`, and the text of a digest. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, tzinfo

from jobs.fast_frozen import fast_frozen
from jobs.formats import describe_span, format_count
from jobs.incidents.headline import (
    describe_others,
    list_joined_subjects,
    list_shown_subjects,
    list_still_failing,
    name_several,
    name_subjects,
)
from jobs.incidents.values import Incident, Transition, TransitionKind
from jobs.notifications.port import Message
from jobs.problems import make_printable

_MAX_EVIDENCE = 160
_MAX_NOTE = 120
UNKNOWN = "unknown"
_MAX_NAMED = 3
"""Alerts that joined, in a title. The text has more."""


def make_title(
    incident: Incident,
    transition: Transition,
    kind: TransitionKind,
    zone: tzinfo,
    earlier: str = "",
    *,
    state: str,
    first: int = 0,
) -> str:
    """Return one line. `kind`: of the message, which can announce an earlier opening with a later transition.
    `state`: the severity, or what replaces it, such as UNKNOWN: a target that cannot be checked is never called down.
    `first`: the number of the first transition of a message about several alerts that joined.
    """
    name, was = name_subjects(incident), state
    state = "CANNOT CHECK" if was == UNKNOWN else incident.severity.upper()
    why = _evidence(incident) + _others(incident, transition)
    since = format_clock(incident.failing_since, transition.at, zone)
    length = describe_length(incident, transition.at)
    by = f" by {make_printable(transition.actor, 60)}" if transition.actor else ""
    match kind:
        case TransitionKind.RESOLVED:
            return _resolved_title(incident, transition, zone, earlier, was)
        case TransitionKind.REOPENED:
            return f"{state} AGAIN {name} since {since}{why}"
        case TransitionKind.REMINDED:
            return f"STILL {state} {name} since {since}, for {length}{why}"
        case TransitionKind.ESCALATED:
            return f"ESCALATED {state} {name} since {since}, for {length}{why}"
        case TransitionKind.ACKNOWLEDGED | TransitionKind.UNACKNOWLEDGED:
            return f"{kind.upper()} {name}{by}"
        case TransitionKind.SNOOZED:
            return f"SNOOZED {name}{_snoozed_until(incident, transition, zone)}{by}"
        case TransitionKind.NOTE_ADDED:
            return f"NOTE {name}{by}: {make_printable(transition.text, _MAX_NOTE)}"
        case TransitionKind.JOINED:
            return f"{state} {name} since {since}{_joined(incident, transition, first)}"
        case TransitionKind.LEFT:
            return f"{state} {name} since {since}{_left(transition)}"
        case TransitionKind.RAISED:
            return f"{state} {name} since {since}, the severity rose{why}"
        case TransitionKind.FLAPPING:
            return f"FLAPPING {name}: no further messages until it is stable{_evidence(incident)}"
        case TransitionKind.OPENED:
            return f"{state} {name} since {since}{why}"


def format_clock(instant: datetime, now: datetime, zone: tzinfo) -> str:
    """Return `03:01`, or `2026-11-27 03:01` on another day than `now`."""
    local = instant.astimezone(zone)
    return f"{local:%H:%M}" if local.date() == now.astimezone(zone).date() else f"{local:%Y-%m-%d %H:%M}"


def _resolved_title(incident: Incident, transition: Transition, zone: tzinfo, earlier: str, state: str) -> str:
    leading, name = incident.leading, name_subjects(incident)
    if list_still_failing(incident):
        verb = "still fails" if len(list_shown_subjects(incident)) == 1 else "still fail"
        by = make_printable(transition.actor or incident.resolved_by, 60)
        since = format_clock(leading.failing_since, transition.at, zone)
        return f"RESOLVED by {by}, {name} {verb}, {state} since {since}{_evidence(incident)}"
    subject = make_printable(leading.key.subject, 120)
    head = f"RESOLVED {name}, {f'{subject} ' if name != subject else ''}was {state}"
    if earlier:
        ended = leading.resolved_at or transition.at
        since, until = (format_clock(each, transition.at, zone) for each in (leading.failing_since, ended))
        return f"{head} {since} to {until} (not delivered then: {make_printable(earlier, _MAX_EVIDENCE)})"
    return f"{head} {describe_length(incident, transition.at)}"


def describe_length(incident: Incident, now: datetime) -> str:
    """Return for how long the leading member has failed, until its end or until now."""
    ended = incident.leading.resolved_at or now
    return describe_span(max(round((ended - incident.failing_since).total_seconds()), 0))


def _joined(incident: Incident, transition: Transition, first: int) -> str:
    """Return what joined, if it still fails and does not lead: the message can be late."""
    subjects = list_joined_subjects(incident, transition, first)
    if not subjects:
        return _evidence(incident) + _others(incident, transition)
    if len(subjects) == 1:
        return f": {make_printable(subjects[0], 80)} fails too"
    return f": {name_several([make_printable(each, 80) for each in subjects], _MAX_NAMED)} fail too"


def _left(transition: Transition) -> str:
    return f": {make_printable(transition.key.subject, 80)} is a separate incident now" if transition.key else ""


def _others(incident: Incident, transition: Transition) -> str:
    others = describe_others(incident, transition.at) if incident.is_open else ""
    return f"; {others}" if others else ""


def _snoozed_until(incident: Incident, transition: Transition, zone: tzinfo) -> str:
    until = incident.snoozed_until
    return f" until {format_clock(until, transition.at, zone)}" if until else ""


def _evidence(incident: Incident) -> str:
    evidence = incident.leading.evidence
    return f" ({make_printable(evidence, _MAX_EVIDENCE)})" if evidence else ""


_MAX_LISTED = 100
_MAX_TARGET = 300


@fast_frozen(frozen=True, slots=True)
class DigestEntry:
    """`link`: the page of the incident; `target`: what the lead checks. Both can be empty."""

    incident: Incident
    link: str = ""
    target: str = ""


def make_digest(entries: Sequence[DigestEntry], channel: str, at: datetime, zone: tzinfo, earlier: str = "") -> Message:
    """Return the message. `entries`: at least one, with their current state. `at`: when the digest was due.

    `earlier`: why it could not be sent then; empty if it was not tried.
    """
    ordered = sorted(entries, key=_position)
    incidents = [each.incident for each in ordered]
    is_open = any(incident.is_open for incident in incidents)
    key = f"digest-{channel}-{int(at.timestamp())}"
    lines = [_describe(each, at, zone) for each in ordered[:_MAX_LISTED]]
    if len(ordered) > _MAX_LISTED:
        lines.append(f"and {len(ordered) - _MAX_LISTED} more")
    if earlier:
        lines.insert(0, f"This digest could not be delivered before: {earlier}.")
    return Message(
        incident=key,
        number=1,
        kind=TransitionKind.OPENED if is_open else TransitionKind.RESOLVED,
        severity=incidents[0].severity,
        title=f"DIGEST {_count(incidents)}",
        text="\n".join(lines),
        at=at,
        dedup_key=key,
        incident_key=key,
        subject=name_subjects(incidents[0]),
    )


def _position(entry: DigestEntry) -> tuple[bool, int, float]:
    """What is open first, then the highest severity, then the newest."""
    incident = entry.incident
    return not incident.is_open, -incident.leading.rank, -incident.failing_since.timestamp()


def _count(incidents: Sequence[Incident]) -> str:
    """Format as `3 incidents: 1 down, 1 degraded, 1 resolved`."""
    states = Counter(incident.severity if incident.is_open else "resolved" for incident in incidents)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"{format_count(len(incidents), 'incident')}: {counts}"


def _describe(entry: DigestEntry, now: datetime, zone: tzinfo) -> str:
    incident = entry.incident
    since = format_clock(incident.failing_since, now, zone)
    evidence = incident.leading.evidence
    why = f" ({make_printable(evidence, _MAX_EVIDENCE)})" if evidence else ""
    if incident.is_open:
        others = describe_others(incident, now)
        why += f"; {others}" if others else ""
        by = f", acknowledged by {make_printable(incident.acknowledged_by, 60)}" if incident.acknowledged_by else ""
        length = describe_length(incident, now)
        line = f"{incident.severity.upper()} {name_subjects(incident)} since {since}, for {length}{why}{by}"
    else:
        until = format_clock(incident.leading.resolved_at or now, now, zone)
        line = f"RESOLVED {name_subjects(incident)}, was {incident.severity} {since} to {until}{why}"
    return "\n  ".join(each for each in (line, make_printable(entry.target, _MAX_TARGET), entry.link) if each)
