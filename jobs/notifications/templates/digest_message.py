"""The message of a digest: several incidents of one channel, what is open first. Pure.

Used by scheduler.alerting.delivery.rendering.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, tzinfo

from jobs.fast_frozen import fast_frozen
from jobs.formats.counts import format_count
from jobs.incidents.headline import describe_others, name_subjects
from jobs.incidents.values import Incident, TransitionKind
from jobs.notifications.message import Message
from jobs.notifications.templates.titles import describe_length, format_clock
from jobs.problems import make_printable

_MOST_LISTED = 100
_LONGEST_EVIDENCE = 160
_LONGEST_TARGET = 300


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
    lines = [_describe(each, at, zone) for each in ordered[:_MOST_LISTED]]
    if len(ordered) > _MOST_LISTED:
        lines.append(f"and {len(ordered) - _MOST_LISTED} more")
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
    why = f" ({make_printable(evidence, _LONGEST_EVIDENCE)})" if evidence else ""
    if incident.is_open:
        others = describe_others(incident, now)
        why += f"; {others}" if others else ""
        by = f", acknowledged by {make_printable(incident.acknowledged_by, 60)}" if incident.acknowledged_by else ""
        length = describe_length(incident, now)
        line = f"{incident.severity.upper()} {name_subjects(incident)} since {since}, for {length}{why}{by}"
    else:
        until = format_clock(incident.leading.resolved_at or now, now, zone)
        line = f"RESOLVED {name_subjects(incident)}, was {incident.severity} {since} to {until}{why}"
    return "\n  ".join(each for each in (line, make_printable(entry.target, _LONGEST_TARGET), entry.link) if each)
