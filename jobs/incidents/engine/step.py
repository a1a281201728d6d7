"""One incident during a pass, what the pass adds to it, and whether a run must confirm one of its alerts first.

When the cause is over that explained an alert, a run must confirm that the alert still describes its target. The cause
is a parent, or that the scheduler was blind. Jobs are not checked in the instant in which their parent recovers:
without this, each of them would be announced, and resolved with its next run. The same holds after a start of the
scheduler: what is overdue waits for the first run of each job, which may have recovered meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from jobs.incidents.engine.facts import MAX_CONFIRMATION, AlertFacts
from jobs.incidents.values import (
    AlertDecision,
    AlertKey,
    Incident,
    Member,
    Notification,
    Suppression,
    Transition,
    TransitionKind,
)


@dataclass(slots=True)
class IncidentStep:
    """`before`: None for a new incident. `is_raised`: an alert that joined has a higher severity.

    Nothing is stored if `is_changed` is False.
    """

    before: Incident | None
    incident: Incident
    transitions: list[Transition] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    decisions: list[AlertDecision] = field(default_factory=list)
    is_raised: bool = False

    @property
    def is_changed(self) -> bool:
        return self.incident != self.before or bool(self.decisions)

    def set(self, **changes: Any) -> None:
        self.incident = replace(self.incident, **changes)

    def add_transition(
        self,
        kind: TransitionKind,
        at: datetime,
        text: str,
        *,
        actor: str = "",
        key: AlertKey | None = None,
        replaced: Member | None = None,
    ) -> None:
        """Add the next transition. The first one of a new incident has number 1."""
        self.set(number=self.incident.number + 1)
        self.transitions.append(
            Transition(self.incident.id, self.incident.number, kind, at, text, actor, key, replaced)
        )

    def notify(
        self,
        channels: Iterable[str],
        kind: TransitionKind,
        due_at: datetime,
        *,
        is_digest: bool = False,
        first: int = 0,
        number: int | None = None,
    ) -> None:
        """Add a message to each of these channels. `number`: of its transition; None: of the latest one."""
        about = self.incident.number if number is None else number
        self.notifications += [
            Notification(self.incident.id, about, kind, each, due_at, is_digest, first) for each in channels
        ]

    def decide(
        self,
        code: str,
        at: datetime,
        text: str,
        *,
        key: AlertKey | None = None,
        suppression: Suppression | None = None,
        **inputs: str,
    ) -> None:
        self.decisions.append(AlertDecision(self.incident.id, at, code, text, key, suppression, inputs))


def find_end_of(incident: Incident, subject: str) -> datetime | None:
    """Return when the last alert of a subject in this incident resolved; None if one lasts, or without any."""
    ends = [member.resolved_at for member in incident.members if member.key.subject == subject]
    known = [each for each in ends if each is not None]
    return max(known) if known and len(known) == len(ends) else None


def is_unconfirmed(member: Member, end: datetime, facts: AlertFacts) -> bool:
    """Return whether a member waits for a run. `end`: of what explained it."""
    return facts.now < end + MAX_CONFIRMATION and not facts.is_checked_since(member.key.subject, end)


def confirmation_ends_at(incident: Incident, facts: AlertFacts) -> datetime | None:
    """Return when members of an incident stop to wait for a run; None if none waits."""
    parents = {member.parent for member in incident.open_members if member.parent}
    ends = [end for parent in parents if (end := find_end_of(incident, parent)) is not None]
    return min((end + MAX_CONFIRMATION for end in ends), default=None)


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
