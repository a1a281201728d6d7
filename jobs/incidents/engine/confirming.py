"""When the cause is over that explained an alert, a run must confirm that the alert still describes its target.

The cause is a parent, or that the scheduler was blind. Jobs are not checked in the instant in which their parent
recovers: without this, each of them would be announced, and resolved with its next run.
"""

from __future__ import annotations

from datetime import datetime

from jobs.incidents.engine.facts import LONGEST_CONFIRMATION, AlertFacts
from jobs.incidents.values import Incident, Member


def find_end_of(incident: Incident, subject: str) -> datetime | None:
    """Return when the last alert of a subject in this incident resolved; None if one lasts, or without any."""
    ends = [member.resolved_at for member in incident.members if member.key.subject == subject]
    known = [each for each in ends if each is not None]
    return max(known) if known and len(known) == len(ends) else None


def is_unconfirmed(member: Member, end: datetime, facts: AlertFacts) -> bool:
    """Return whether a member waits for a run. `end`: of what explained it."""
    return facts.now < end + LONGEST_CONFIRMATION and not facts.is_checked_since(member.key.subject, end)


def confirmation_ends_at(incident: Incident, facts: AlertFacts) -> datetime | None:
    """Return when members of an incident stop to wait for a run; None if none waits."""
    parents = {member.parent for member in incident.open_members if member.parent}
    ends = [end for parent in parents if (end := find_end_of(incident, parent)) is not None]
    return min((end + LONGEST_CONFIRMATION for end in ends), default=None)
