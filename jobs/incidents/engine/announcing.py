"""Decides when an open incident is announced, and what holds it back."""

from __future__ import annotations

from jobs.incidents.engine.facts import AlertFacts
from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import Announcement, Incident, Suppression, SuppressionKind, TransitionKind


def announce(step: IncidentStep, kind: TransitionKind, facts: AlertFacts) -> None:
    """Announce an open incident that is not announced, unless all its members are suppressed.

    `kind`: opened or reopened. The notifications are about the latest transition.
    """
    incident = step.incident
    if not incident.is_open or incident.is_announced:
        return
    suppression = find_suppression(incident, facts)
    if suppression is not None:
        _hold_back(step, suppression, facts)
        return
    channels = tuple(dict.fromkeys(facts.channels_of(incident)))
    step.notify(channels, kind, facts.now)
    announced = tuple(Announcement(channel, incident.number) for channel in channels)
    step.set(announced=announced, suppression=None, notified_at=facts.now if channels else None)
    if not channels:
        if incident.suppression is None and step.before is not None and not step.transitions:
            return  # recorded when it opened
        step.decide("no_channel", facts.now, "no rule or route names a channel: no notification is sent")
    elif incident.suppression is not None:
        text = f"no longer held back by {describe_suppression(incident.suppression)}"
        step.decide("released", facts.now, text, suppression=incident.suppression, channels=", ".join(channels))
    else:
        step.decide("announced", facts.now, "nothing holds it back", channels=", ".join(channels))


def find_suppression(incident: Incident, facts: AlertFacts) -> Suppression | None:
    """Return what holds back an incident: that of its lead, if each open member that no parent explains has one."""
    found: Suppression | None = None
    open_members = incident.open_members or (incident.lead_member,)
    subjects = {member.key.subject for member in open_members}
    for member in open_members:
        if member.parent in subjects:
            continue  # explained inside of the incident
        suppression = facts.suppression_of(member.key)
        if suppression is None:
            return None
        if found is None or member.key == incident.lead:
            found = suppression
    return found


def describe_suppression(suppression: Suppression) -> str:
    """Format as `the silence deploy (until 06:00 UTC): release 42`."""
    until = f" (until {suppression.until:%Y-%m-%d %H:%M} UTC)" if suppression.until is not None else ""
    reason = f": {suppression.reason}" if suppression.reason else ""
    return f"the {suppression.kind.replace('_', ' ')} {suppression.name}{until}{reason}"


def _hold_back(step: IncidentStep, suppression: Suppression, facts: AlertFacts) -> None:
    if step.incident.suppression == suppression:
        return
    step.set(suppression=suppression)
    text = f"held back by {describe_suppression(suppression)}"
    step.decide(f"held_back_{suppression.kind}", facts.now, text, suppression=suppression)


def acknowledgement_of(incident: Incident, facts: AlertFacts) -> Suppression | None:
    """Return the snooze or the acknowledgement, which hold back reminders and escalations."""
    if incident.snoozed_until is not None and incident.snoozed_until > facts.now:
        return Suppression(SuppressionKind.SNOOZED, incident.acknowledged_by, until=incident.snoozed_until)
    if incident.acknowledged_at is not None:
        return Suppression(SuppressionKind.ACKNOWLEDGED, incident.acknowledged_by)
    return None
