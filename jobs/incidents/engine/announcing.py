"""Decides when an open incident is announced, and what holds it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from jobs.incidents.engine.facts import AlertFacts, DueChannel
from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import Announcement, Incident, Suppression, SuppressionKind, Transition, TransitionKind


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
    announced = tuple(
        Announcement(each.channel, incident.number, each.due_at) for each in _list_due(facts.channels_of(incident))
    )
    step.set(announced=announced, suppression=None, notified_at=facts.now if announced else None)
    notify_announced(step, kind, facts.now, facts)
    channels = ", ".join(map(_describe_channel, announced))
    if not channels:
        if incident.suppression is None and step.before is not None and not step.transitions:
            return  # recorded when it opened
        step.decide("no_channel", facts.now, "no rule or route names a channel: no notification is sent")
    elif incident.suppression is not None:
        text = f"no longer held back by {describe_suppression(incident.suppression)}"
        step.decide("released", facts.now, text, suppression=incident.suppression, channels=channels)
    else:
        step.decide("announced", facts.now, "nothing holds it back", channels=channels)


def announce_joined(step: IncidentStep, facts: AlertFacts) -> None:
    """Send the opening to the channels of alerts that joined an announced incident, if they have not received it.

    So the incident of another job, or a lower severity, swallows no notification. A channel whose digest is not due yet
    is notified at once if an alert that joined requires it.
    """
    incident = step.incident
    if step.before is None or not step.before.is_announced or not incident.is_open or incident.is_flapping:
        return
    if not any(_is_announced_itself(each, incident, facts) for each in step.transitions):
        return
    known = {each.channel: each for each in incident.announced}
    missing = [each for each in _list_due(facts.channels_of(incident)) if _is_missing(each, known, facts.now)]
    if not missing:
        return
    names = {each.channel for each in missing}
    added = tuple(Announcement(each.channel, incident.number, each.due_at) for each in missing)
    step.set(announced=(*(each for each in incident.announced if each.channel not in names), *added))
    step.notifications = [each for each in step.notifications if each.channel not in names]
    for each in missing:
        due_at = each.due_at or facts.now
        step.notify([each.channel], TransitionKind.OPENED, due_at, is_digest=each.due_at is not None)
    text = "an alert that joined has further channels: they receive the opening"
    step.decide("announced_further", facts.now, text, channels=", ".join(map(_describe_channel, added)))


def _is_announced_itself(transition: Transition, incident: Incident, facts: AlertFacts) -> bool:
    if transition.kind not in (TransitionKind.JOINED, TransitionKind.RAISED) or transition.key is None:
        return False
    member = incident.find(transition.key)
    return member is not None and not member.parent and facts.suppression_of(transition.key) is None


def _is_missing(due: DueChannel, known: Mapping[str, Announcement], now: datetime) -> bool:
    announced = known.get(due.channel)
    if announced is None:
        return True
    return due.due_at is None and announced.due_at is not None and announced.due_at > now


def notify_announced(step: IncidentStep, kind: TransitionKind, at: datetime, facts: AlertFacts | None = None) -> None:
    """Notify the channels that were sent the opening of the latest transition; those of a digest with their digest.

    `facts`: for the time of the next digest. Without them, what happens after the first digest is sent at once.
    """
    for each in step.incident.announced:
        due_at = each.due_at
        if due_at is not None and due_at <= at:
            due_at = None if facts is None else _find_next_digest(each.channel, step.incident, facts)
        step.notify([each.channel], kind, due_at or at, is_digest=due_at is not None)


def _find_next_digest(channel: str, incident: Incident, facts: AlertFacts) -> datetime | None:
    """Return when the channel is sent its next digest; None if its route has none any more."""
    routed = _list_due(facts.channels_of(incident))
    return next((each.due_at for each in routed if each.channel == channel), None)


def _list_due(channels: Sequence[str | DueChannel]) -> Iterable[DueChannel]:
    """Return each channel once. One that is notified at once needs no digest."""
    found: dict[str, DueChannel] = {}
    for each in channels:
        due = DueChannel(each) if isinstance(each, str) else each
        if due.channel not in found or due.due_at is None:
            found[due.channel] = due
    return found.values()


def _describe_channel(announced: Announcement) -> str:
    due_at = announced.due_at
    return announced.channel if due_at is None else f"{announced.channel} (digest at {due_at:%Y-%m-%d %H:%M} UTC)"


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
