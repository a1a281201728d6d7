"""The default titles of messages: `DOWN checkout since 03:01 (3 of 5 runs failed)`. Pure.

Used by jobs.notifications.templates.incident_message.
"""

from __future__ import annotations

from datetime import datetime, tzinfo

from jobs.formats.durations import describe_span
from jobs.incidents.values import Incident, Transition, TransitionKind
from jobs.problems import make_printable

_LONGEST_EVIDENCE = 160
_LONGEST_NOTE = 120


def make_title(
    incident: Incident,
    transition: Transition,
    kind: TransitionKind,
    zone: tzinfo,
    earlier: str = "",
    *,
    is_downtime: bool = True,
) -> str:
    """Return one line. `kind`: of the message, which can announce an earlier opening with a later transition."""
    name = subject_names(incident)
    state = incident.severity.upper()
    since = format_clock(incident.failing_since, transition.at, zone)
    length = describe_span(max(round((transition.at - incident.failing_since).total_seconds()), 0))
    by = f" by {make_printable(transition.actor, 60)}" if transition.actor else ""
    match kind:
        case TransitionKind.RESOLVED:
            return _resolved_title(incident, transition, zone, earlier, describe_state(incident, is_downtime))
        case TransitionKind.REOPENED:
            return f"{state} AGAIN {name} since {since}{_evidence(incident)}"
        case TransitionKind.REMINDED:
            return f"STILL {state} {name} since {since}, for {length}{_evidence(incident)}"
        case TransitionKind.ESCALATED:
            return f"ESCALATED {state} {name} since {since}, for {length}{_evidence(incident)}"
        case TransitionKind.ACKNOWLEDGED | TransitionKind.UNACKNOWLEDGED:
            return f"{kind.upper()} {name}{by}"
        case TransitionKind.SNOOZED:
            return f"SNOOZED {name}{_snoozed_until(incident, transition, zone)}{by}"
        case TransitionKind.NOTE_ADDED:
            return f"NOTE {name}{by}: {make_printable(transition.text, _LONGEST_NOTE)}"
        case TransitionKind.JOINED:
            joined = f": {make_printable(transition.key.subject, 80)} fails too" if transition.key else ""
            return f"{state} {name} since {since}{joined}"
        case TransitionKind.LEFT:
            left = (
                f": {make_printable(transition.key.subject, 80)} is a separate incident now" if transition.key else ""
            )
            return f"{state} {name} since {since}{left}"
        case TransitionKind.RAISED:
            return f"{state} {name} since {since}, the severity rose{_evidence(incident)}"
        case TransitionKind.FLAPPING:
            return f"FLAPPING {name}: no further messages until it is stable{_evidence(incident)}"
        case TransitionKind.OPENED:
            return f"{state} {name} since {since}{_evidence(incident)}"


def subject_names(incident: Incident) -> str:
    """Return the subject of the lead, and the number of the others: `router and 499 more`."""
    subjects = {member.key.subject for member in incident.open_members or incident.members}
    others = len(subjects - {incident.lead.subject})
    lead = make_printable(incident.lead.subject, 120)
    return f"{lead} and {others} more" if others else lead


def describe_state(incident: Incident, is_downtime: bool) -> str:
    """Return the severity; `failing` in place of `down` if the time does not count as downtime."""
    return "failing" if incident.severity == "down" and not is_downtime else incident.severity


def format_clock(instant: datetime, now: datetime, zone: tzinfo) -> str:
    """Return `03:01`, or `2026-11-27 03:01` on another day than `now`."""
    local = instant.astimezone(zone)
    return f"{local:%H:%M}" if local.date() == now.astimezone(zone).date() else f"{local:%Y-%m-%d %H:%M}"


def _resolved_title(incident: Incident, transition: Transition, zone: tzinfo, earlier: str, state: str) -> str:
    ended = incident.resolved_at or transition.at
    head = f"RESOLVED {subject_names(incident)}, was {state}"
    if earlier:
        since, until = (format_clock(each, transition.at, zone) for each in (incident.failing_since, ended))
        return f"{head} {since} to {until} (not delivered then: {make_printable(earlier, _LONGEST_EVIDENCE)})"
    return f"{head} {describe_span(max(round((ended - incident.failing_since).total_seconds()), 0))}"


def _snoozed_until(incident: Incident, transition: Transition, zone: tzinfo) -> str:
    until = incident.snoozed_until
    return f" until {format_clock(until, transition.at, zone)}" if until else ""


def _evidence(incident: Incident) -> str:
    lead = incident.find(incident.lead)
    return f" ({make_printable(lead.evidence, _LONGEST_EVIDENCE)})" if lead is not None and lead.evidence else ""
