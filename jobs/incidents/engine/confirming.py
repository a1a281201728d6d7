"""When the cause is over that explained an alert, a run must confirm that the alert still describes its target.

The cause is a parent, or that the scheduler was blind. Jobs are not checked in the instant in which their parent
recovers: without this, each of them would be announced, and resolved with its next run. The same holds after a start of
the scheduler: what is overdue waits for the first run of each job, which may have recovered meanwhile.
"""

from __future__ import annotations

from datetime import datetime

from jobs.incidents.engine.facts import LONGEST_CONFIRMATION, AlertFacts
from jobs.incidents.engine.step import IncidentStep
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


def first_runs_end(incident: Incident, facts: AlertFacts, *, is_missed: bool = False) -> datetime | None:
    """Return until when an incident waits for the first runs of its jobs since the start; None if it does not.

    `is_missed`: only for jobs of which a run was due while the scheduler did not run.
    """
    if facts.started_at is None:
        return None
    subjects = {member.key.subject for member in incident.open_members}
    ends = (facts.first_run_end(subject, is_missed=is_missed) for subject in subjects)
    return max((end for end in ends if end is not None), default=None)


def hold_at_start(step: IncidentStep, what: str, facts: AlertFacts, *, is_missed: bool = False) -> bool:
    """Return whether a notification waits for first runs, and record that once a start. `what`: the reminder."""
    end, started_at = first_runs_end(step.incident, facts, is_missed=is_missed), facts.started_at
    if end is None or started_at is None:
        return False
    if step.incident.held_at_start != started_at:
        step.set(held_at_start=started_at)
        text = f"the scheduler started at {started_at:%H:%M:%S} UTC: {what} waits until each job has run"
        step.decide("held_back_start", facts.now, f"{text}, at most until {end:%H:%M:%S} UTC")
    return True
