"""Notifications of alerts that join an announced incident, and of incidents that flap.

An alert that joins inside of a silence or window sends no notification. The others that join within the group wait are
one message, so that a storm is not a message for each alert. An incident that is resolved and reopened too often stays
open until it is stable, with one notification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from jobs.formats import format_duration
from jobs.incidents.engine.announcing import (
    describe_channel,
    describe_suppression,
    find_suppression,
    list_due,
    notify_announced,
    notify_channels,
)
from jobs.incidents.engine.facts import AlertFacts, DueChannel, FlappingLimit
from jobs.incidents.engine.step import IncidentStep, hold_at_start
from jobs.incidents.values import AlertKey, Announcement, Incident, Member, Transition, TransitionKind


def hold_back_joined(step: IncidentStep, key: AlertKey, facts: AlertFacts) -> bool:
    """Return whether an alert that joins an announced incident is suppressed, and record it."""
    suppression = facts.suppression_of(key) if step.incident.is_announced else None
    if suppression is None:
        return False
    members = step.incident.members
    step.set(members=tuple(replace(each, is_held_back=True) if each.key == key else each for each in members))
    text = f"held back by {describe_suppression(suppression)}: it joins without a notification"
    step.decide(f"held_back_{suppression.kind}", facts.now, text, key=key, suppression=suppression)
    return True


def collect_joined(step: IncidentStep, joined: Mapping[AlertKey, int], fired_at: datetime, facts: AlertFacts) -> None:
    """Let one message name these alerts and those that join until it is due: at once if the severity rose, else when
    the first of them has fired for the group wait. `joined`: the numbers of their transitions.
    """
    incident = step.incident
    due_at = facts.now if step.is_raised else max(fired_at + facts.group_wait, facts.now)
    step.set(
        members=tuple(
            replace(each, joined_number=joined[each.key]) if each.key in joined else each for each in incident.members
        ),
        joins_due_at=min(due_at, incident.joins_due_at or due_at),
        joins_from=incident.joins_from or min(joined.values()),
    )


def notify_joined(step: IncidentStep, facts: AlertFacts) -> None:
    """Send the message about the alerts that joined if it is due and one of them still fires."""
    incident, due_at = step.incident, step.incident.joins_due_at
    if due_at is None:
        return
    joined = incident.list_joined(incident.joins_from, incident.number)
    if joined and incident.is_open and not incident.is_flapping:
        if due_at > facts.now:
            return
        is_old = facts.started_at is not None and due_at < facts.started_at
        if is_old and hold_at_start(step, "the message about what joined", facts, is_missed=True):
            return
        _send_joined(step, joined, facts)
    else:
        step.decide("moot_joined", facts.now, "the message about what joined is not sent: it fails no more, or flaps")
    step.set(joins_due_at=None, joins_from=0)


def _send_joined(step: IncidentStep, joined: Sequence[Member], facts: AlertFacts) -> None:
    kind, number = TransitionKind.RAISED if step.is_raised else TransitionKind.JOINED, joined[-1].joined_number
    # A channel that was sent the opening meanwhile knows of them.
    channels = [each for each in step.incident.announced if each.number < number]
    notify_channels(step, channels, kind, facts.now, facts, first=step.incident.joins_from, number=number)
    text = f"{len(joined)} alerts that joined are one message" if len(joined) > 1 else f"{joined[0].key.subject} joined"
    names = ", ".join(map(describe_channel, channels))
    step.decide("announced_joined", facts.now, text, kind=kind, number=str(number), channels=names)


def released_at(incident: Incident, facts: AlertFacts) -> datetime | None:
    """Return when the first silence or window of an alert that joined inside of it ends, if that is known."""
    suppressions = (facts.suppression_of(each.key) for each in _list_held_back(incident))
    ends = (each.until for each in suppressions if each is not None and each.until is not None)
    return min(ends, default=None)


def announce_joined(step: IncidentStep, facts: AlertFacts) -> None:
    """Send the opening to the channels of alerts that joined an announced incident, if they have not received it.

    So the incident of another job, or a lower severity, swallows no notification. A channel whose digest is not due yet
    is notified at once if an alert that joined requires it. For an alert that joined inside of a silence or
    window, this is done at its end.
    """
    incident = step.incident
    if step.before is None or not step.before.is_announced or not incident.is_open or incident.is_flapping:
        return
    released = _release_held_back(step, facts)
    if not released and not any(_is_announced_itself(each, incident, facts) for each in step.transitions):
        return
    known = {each.channel: each for each in incident.announced}
    missing = [each for each in list_due(facts.channels_of(incident)) if _is_missing(each, known, facts.now)]
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
    step.decide("announced_further", facts.now, text, channels=", ".join(map(describe_channel, added)))


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


def _release_held_back(step: IncidentStep, facts: AlertFacts) -> bool:
    """Record for which alerts the suppression has ended."""
    released = [each.key for each in _list_held_back(step.incident) if facts.suppression_of(each.key) is None]
    members = step.incident.members
    step.set(
        members=tuple(replace(each, is_held_back=each.is_held_back and each.key not in released) for each in members)
    )
    for key in released:
        text = f"{key.subject} is no longer held back: the next message about the incident names it"
        step.decide("released_joined", facts.now, text, key=key)
    return bool(released)


def _list_held_back(incident: Incident) -> list[Member]:
    return [each for each in incident.open_members if each.is_held_back and not each.parent]


def record_change(step: IncidentStep, facts: AlertFacts) -> None:
    """Count an opening, a resolution or a reopening. The incident begins to flap if there were too many."""
    policy = _policy_of(step.incident, facts)
    if policy is None:
        return
    changes = (*step.incident.changes, facts.now)[-policy.changes :]
    step.set(changes=changes)
    recent = sum(facts.now - each <= policy.within for each in changes)
    if step.incident.is_flapping or recent < policy.changes:
        return
    if hold_at_start(step, "the message that it flaps", facts):
        return  # the next change is counted with these
    text = f"it was opened and resolved {recent} times within {format_duration(policy.within.total_seconds())}"
    step.set(flapping_since=facts.now)
    step.add_transition(TransitionKind.FLAPPING, facts.now, text)
    step.decide("flapping", facts.now, f"{text}: it stays open until it is stable, without further notifications")
    suppression = find_suppression(step.incident, facts)
    if suppression is None:
        notify_announced(step, TransitionKind.FLAPPING, facts.now, facts)
    else:
        reason = f"held back by {describe_suppression(suppression)}"
        step.decide(f"held_back_{suppression.kind}", facts.now, reason, suppression=suppression)


def stable_at(incident: Incident, facts: AlertFacts) -> datetime | None:
    """Return when a flapping incident is stable if nothing changes; None if it does not flap."""
    policy = _policy_of(incident, facts)
    if not incident.is_flapping:
        return None
    return facts.now if policy is None or not incident.changes else incident.changes[-1] + policy.stable_after


def settle(step: IncidentStep, facts: AlertFacts) -> None:
    """End the flapping of an incident that is stable; the engine then resolves it unless an alert fires."""
    moment = stable_at(step.incident, facts)
    if moment is not None and moment <= facts.now:
        step.decide("stable", facts.now, "nothing has changed for long enough: it does not flap any more")
        step.set(flapping_since=None, changes=())


def _policy_of(incident: Incident, facts: AlertFacts) -> FlappingLimit | None:
    policy = facts.policy_of(incident.lead)
    return None if policy is None else policy.flapping
