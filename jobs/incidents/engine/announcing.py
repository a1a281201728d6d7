"""Decides when an open incident is announced, and what holds it back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from jobs.incidents.engine.confirming import hold_at_start
from jobs.incidents.engine.facts import AlertFacts, DueChannel
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
    if _fired_before_start(incident, facts) and hold_at_start(step, "the opening", facts, is_missed=True):
        return
    announced = tuple(
        Announcement(each.channel, incident.number, each.due_at) for each in list_due(facts.channels_of(incident))
    )
    step.set(announced=announced, suppression=None, notified_at=facts.now if announced else None)
    notify_announced(step, kind, facts.now, facts)
    channels = ", ".join(map(describe_channel, announced))
    if not channels:
        if incident.suppression is None and step.before is not None and not step.transitions:
            return  # recorded when it opened
        step.decide("no_channel", facts.now, "no rule or route names a channel: no notification is sent")
    elif incident.suppression is not None:
        text = f"no longer held back by {describe_suppression(incident.suppression)}"
        step.decide("released", facts.now, text, suppression=incident.suppression, channels=channels)
    else:
        step.decide("announced", facts.now, "nothing holds it back", channels=channels)


def _fired_before_start(incident: Incident, facts: AlertFacts) -> bool:
    started_at = facts.started_at
    return started_at is not None and all(member.fired_at < started_at for member in incident.open_members)


def notify_announced(step: IncidentStep, kind: TransitionKind, at: datetime, facts: AlertFacts | None = None) -> None:
    """Notify the channels that were sent the opening of the latest transition; those of a digest with their digest.

    `facts`: for the time of the next digest. Without them, what happens after the first digest is sent at once.
    """
    notify_channels(step, step.incident.announced, kind, at, facts)


def notify_channels(
    step: IncidentStep,
    channels: Iterable[Announcement],
    kind: TransitionKind,
    at: datetime,
    facts: AlertFacts | None = None,
    *,
    first: int = 0,
    number: int | None = None,
) -> None:
    """Notify some of the channels that were sent the opening. `number`: of the transition; None: the latest one."""
    for each in channels:
        due_at = each.due_at
        if due_at is not None and due_at <= at:
            due_at = None if facts is None else _find_next_digest(each.channel, step.incident, facts)
        step.notify([each.channel], kind, due_at or at, is_digest=due_at is not None, first=first, number=number)


def _find_next_digest(channel: str, incident: Incident, facts: AlertFacts) -> datetime | None:
    """Return when the channel is sent its next digest; None if its route has none any more."""
    routed = list_due(facts.channels_of(incident))
    return next((each.due_at for each in routed if each.channel == channel), None)


def list_due(channels: Sequence[str | DueChannel]) -> Iterable[DueChannel]:
    """Return each channel once. One that is notified at once needs no digest."""
    found: dict[str, DueChannel] = {}
    for each in channels:
        due = DueChannel(each) if isinstance(each, str) else each
        if due.channel not in found or due.due_at is None:
            found[due.channel] = due
    return found.values()


def describe_channel(announced: Announcement) -> str:
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
    """Format as `the silence of checkout (until 06:00 UTC): release 42`."""
    until = f" (until {suppression.until:%Y-%m-%d %H:%M} UTC)" if suppression.until is not None else ""
    reason = f": {suppression.reason}" if suppression.reason else ""
    return f"the {suppression.titles}{until}{reason}"


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
