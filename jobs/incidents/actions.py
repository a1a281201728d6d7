"""What people do with an open incident: each function returns the step that is stored. Pure.

Passed to scheduler.alerting.engine_runner. The channels that were sent the opening are notified of each action.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from jobs.incidents.engine.announcing import notify_announced
from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import Incident, IncidentStatus, TransitionKind

MAX_NOTE = 2000
"""Characters."""


class ActionRefused(ValueError):
    """The action cannot be done with this incident now. The message gives the reason and what to change."""


def acknowledge(incident: Incident, actor: str, at: datetime, note: str = "") -> IncidentStep:
    """Hold back reminders and escalations until the incident is resolved. Ends a snooze.

    Raises ActionRefused: the incident is resolved, or acknowledged by this actor.
    """
    step = _begin(incident, note)
    if incident.acknowledged_by == actor and incident.snoozed_until is None and not note:
        raise ActionRefused(f"the incident {incident.id} was acknowledged by {actor} before")
    step.set(acknowledged_by=actor, acknowledged_at=at, snoozed_until=None)
    return _finish(step, TransitionKind.ACKNOWLEDGED, at, f"acknowledged by {actor}", note, actor)


def snooze(incident: Incident, actor: str, at: datetime, until: datetime, note: str = "") -> IncidentStep:
    """Hold back reminders and escalations until an instant; replaces an acknowledgement.

    Raises ActionRefused: the incident is resolved, or the instant has passed.
    """
    step = _begin(incident, note)
    if until <= at:
        raise ActionRefused(f"{until:%Y-%m-%d %H:%M:%S} UTC has passed: snooze the incident until a later time")
    step.set(acknowledged_by=actor, acknowledged_at=None, snoozed_until=until)
    text = f"snoozed by {actor} until {until:%Y-%m-%d %H:%M:%S} UTC"
    return _finish(step, TransitionKind.SNOOZED, at, text, note, actor)


def unacknowledge(incident: Incident, actor: str, at: datetime, note: str = "") -> IncidentStep:
    """Withdraw the acknowledgement or the snooze: reminders and escalations that are due are sent.

    Raises ActionRefused: the incident is resolved, or neither acknowledged nor snoozed.
    """
    step = _begin(incident, note)
    if not incident.is_handled:
        raise ActionRefused(f"the incident {incident.id} is neither acknowledged nor snoozed")
    what = "acknowledgement" if incident.snoozed_until is None else "snooze"
    step.set(acknowledged_by="", acknowledged_at=None, snoozed_until=None)
    text = f"the {what} by {incident.acknowledged_by} was withdrawn by {actor}"
    return _finish(step, TransitionKind.UNACKNOWLEDGED, at, text, note, actor)


def add_note(incident: Incident, actor: str, at: datetime, note: str) -> IncidentStep:
    """Add a text to the history of the incident. Raises ActionRefused: it is resolved, or the text is empty."""
    step = _begin(incident, note)
    if not note.strip():
        raise ActionRefused("the note is empty: write at least one character")
    return _finish(step, TransitionKind.NOTE_ADDED, at, note.strip(), "", actor)


def resolve_by_hand(incident: Incident, actor: str, at: datetime, note: str = "") -> IncidentStep:
    """Resolve the incident although alerts fire. Each of them opens an incident again only when it fires anew.

    Raises ActionRefused: the incident is resolved.
    """
    step = _begin(incident, note)
    # What has recovered in this instant did not fail when it was resolved: see Incident.shown_members.
    ends = [each.resolved_at for each in incident.members if each.resolved_at is not None]
    at = max([at, *(end + timedelta(microseconds=1) for end in ends)])
    members = tuple(replace(each, resolved_at=each.resolved_at or at) for each in incident.members)
    step.set(members=members, status=IncidentStatus.RESOLVED, resolved_at=at, resolved_by=actor)
    step.set(suppression=None, flapping_since=None, changes=())
    _finish(step, TransitionKind.RESOLVED, at, f"resolved by {actor}", note, actor)
    if not incident.is_announced:
        step.decide("resolved_unannounced", at, "no channel received the opening: none receives the end")
    return step


def _begin(incident: Incident, note: str) -> IncidentStep:
    if not incident.is_open:
        when = "" if incident.resolved_at is None else f" at {incident.resolved_at:%Y-%m-%d %H:%M:%S} UTC"
        raise ActionRefused(f"the incident {incident.id} was resolved{when}: only an open incident can be changed")
    if len(note) > MAX_NOTE:
        raise ActionRefused(f"the note has {len(note)} characters: write at most {MAX_NOTE}")
    return IncidentStep(incident, incident)


def _finish(step: IncidentStep, kind: TransitionKind, at: datetime, text: str, note: str, actor: str) -> IncidentStep:
    step.add_transition(kind, at, f"{text}: {note}" if note else text, actor=actor)
    notify_announced(step, kind, at)
    return step
