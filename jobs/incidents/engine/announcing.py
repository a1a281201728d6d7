"""When an open incident is announced, reminded of and escalated, what holds that back, and what people do with it.

Reminders and escalations follow the clock, so that a late pass sends each once. The channels that were sent the opening
are notified of each action of a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from jobs.formats import format_duration
from jobs.incidents.engine.facts import AlertFacts, AlertPolicy, DueChannel, EscalationStep, IncidentStep, hold_at_start
from jobs.incidents.values import Announcement, Incident, IncidentStatus, Suppression, SuppressionKind, TransitionKind


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
    due_by_channel: dict[str, DueChannel] = {}
    for each in channels:
        due = DueChannel(each) if isinstance(each, str) else each
        if due.channel not in due_by_channel or due.due_at is None:
            due_by_channel[due.channel] = due
    return due_by_channel.values()


def describe_channel(announced: Announcement) -> str:
    due_at = announced.due_at
    return announced.channel if due_at is None else f"{announced.channel} (digest at {due_at:%Y-%m-%d %H:%M} UTC)"


def find_suppression(incident: Incident, facts: AlertFacts) -> Suppression | None:
    """Return what holds back an incident: that of its lead, if each open member that no parent explains has one."""
    chosen: Suppression | None = None
    open_members = incident.open_members or (incident.lead_member,)
    subjects = {member.key.subject for member in open_members}
    for member in open_members:
        if member.parent in subjects:
            continue  # explained inside of the incident
        suppression = facts.suppression_of(member.key)
        if suppression is None:
            return None
        if chosen is None or member.key == incident.lead:
            chosen = suppression
    return chosen


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


def escalate(step: IncidentStep, facts: AlertFacts) -> None:
    """Notify the channels of each escalation step that is due, and let them receive the resolution."""
    incident = step.incident
    opened_at = incident.reopened_at or incident.opened_at
    for number, due in list(enumerate(_steps_of(incident, facts), start=1))[incident.escalations :]:
        if facts.now < opened_at + due.after or _is_held_back(step.incident, facts):
            return
        if hold_at_start(step, "the escalation", facts):
            return
        known = {each.channel for each in step.incident.announced}
        text = f"open for {format_duration(due.after.total_seconds())} without an acknowledgement"
        step.add_transition(TransitionKind.ESCALATED, facts.now, text)
        step.notify(due.channels, TransitionKind.ESCALATED, facts.now)
        new = [Announcement(each, step.incident.number) for each in due.channels if each not in known]
        step.set(announced=(*step.incident.announced, *new), escalations=number, notified_at=facts.now)
        step.decide("escalated", facts.now, text, channels=", ".join(due.channels))


def remind(step: IncidentStep, facts: AlertFacts) -> None:
    """Remind the channels that were notified at once if the shortest interval of the open members has passed."""
    due_at = reminder_due_at(step.incident, facts)
    if due_at is None or facts.now < due_at or _is_held_back(step.incident, facts):
        return
    if hold_at_start(step, "the reminder", facts):
        return
    text = f"still open, since {step.incident.failing_since:%Y-%m-%d %H:%M:%S} UTC"
    step.add_transition(TransitionKind.REMINDED, facts.now, text)
    step.notify([each.channel for each in _reminded(step.incident)], TransitionKind.REMINDED, facts.now)
    step.set(notified_at=facts.now)


def reminder_due_at(incident: Incident, facts: AlertFacts) -> datetime | None:
    """Return when the next reminder is due, whatever holds it back; None without one."""
    intervals = [policy.remind_every for policy in _policies(incident, facts) if policy.remind_every is not None]
    if not incident.is_open or not _reminded(incident) or incident.notified_at is None or not intervals:
        return None
    return incident.notified_at + min(intervals)


def _reminded(incident: Incident) -> list[Announcement]:
    """A channel of a digest is not reminded."""
    return [each for each in incident.announced if each.due_at is None]


def _is_held_back(incident: Incident, facts: AlertFacts) -> bool:
    return (
        not incident.is_announced
        or not incident.open_members
        or acknowledgement_of(incident, facts) is not None
        or find_suppression(incident, facts) is not None
    )


def _steps_of(incident: Incident, facts: AlertFacts) -> list[EscalationStep]:
    """Return the steps of the rule of the lead, or of the first member whose rule has steps."""
    found = (policy.escalation for policy in _policies(incident, facts) if policy.escalation)
    return sorted(next(found, ()), key=lambda each: each.after) if incident.is_open else []


def _policies(incident: Incident, facts: AlertFacts) -> list[AlertPolicy]:
    members = sorted(incident.open_members or (incident.lead_member,), key=lambda member: member.key != incident.lead)
    return [policy for member in members if (policy := facts.policy_of(member.key)) is not None]


def decide_moot(step: IncidentStep, facts: AlertFacts) -> None:
    """Record what was due of an incident that is resolved now, and is not sent any more."""
    before = step.before
    if before is None or not before.is_open or _is_held_back(before, facts):
        return
    due_at, opened_at = reminder_due_at(before, facts), before.reopened_at or before.opened_at
    if due_at is not None and due_at <= facts.now:
        step.decide("moot_reminder", facts.now, f"the reminder that was due at {due_at:%H:%M:%S} UTC is not sent")
    for each in _steps_of(before, facts)[before.escalations :]:
        if (due_at := opened_at + each.after) <= facts.now:
            text = f"the escalation that was due at {due_at:%H:%M:%S} UTC is not sent"
            step.decide("moot_escalation", facts.now, text, escalated_to=", ".join(each.channels))


def next_due(incident: Incident, facts: AlertFacts) -> datetime | None:
    """Return when a pass must consider the incident again although nothing else changes."""
    moments = [reminder_due_at(incident, facts), incident.snoozed_until]
    opened_at = incident.reopened_at or incident.opened_at
    moments += [opened_at + each.after for each in _steps_of(incident, facts)[incident.escalations :]]
    # What is due and held back is due again when the suppression ends.
    return min((moment for moment in moments if moment is not None and moment > facts.now), default=None)


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
