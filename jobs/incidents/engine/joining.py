"""Firing alerts that become an incident or join one: when, and which message reports them.

Self-checks fire an alert of subject SCHEDULER and severity BLIND: the scheduler itself cannot reach anything, so alerts
that fire meanwhile do not describe their targets and are members behind its incident. After it, each leaves when a run
of its subject has confirmed it (`is_unconfirmed`).

An alert that begins to fail behind a failing parent joins the incident of the parent. One that failed before its
parent has a separate incident: while the parent fails, it is neither announced nor reminded of.

An alert that joins inside of a silence or window sends no notification. The others that join within the group wait are
one message, so that a storm is not a message for each alert. An incident that is resolved and reopened too often stays
open until it is stable, with one notification.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from jobs.alerting.alert import Alert
from jobs.fast_frozen import fast_frozen
from jobs.formats import format_duration
from jobs.incidents.engine.announcing import (
    describe_channel,
    describe_suppression,
    find_suppression,
    list_due,
    notify_announced,
    notify_channels,
)
from jobs.incidents.engine.facts import (
    BLIND,
    BLIND_MARGIN,
    IDENTITY,
    MAX_PARENT_WAIT,
    SCHEDULER,
    AlertFacts,
    AlertPolicy,
    DueChannel,
    FlappingLimit,
    IncidentStep,
    find_failing_ancestor,
    hold_at_start,
    list_unchecked_ancestors,
)
from jobs.incidents.values import (
    AlertKey,
    Announcement,
    Incident,
    Member,
    SharedCause,
    Suppression,
    SuppressionKind,
    Transition,
    TransitionKind,
)


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


def _is_missing(due: DueChannel, announced_by_channel: Mapping[str, Announcement], now: datetime) -> bool:
    announced = announced_by_channel.get(due.channel)
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


def find_blind_since(firing: Iterable[Alert], facts: AlertFacts) -> datetime | None:
    """Return since when alerts do not describe their targets; None while the scheduler is not blind."""
    since = [alert.failing_since or alert.changed_at for alert in firing if _is_blinding(alert, facts)]
    return min((each - BLIND_MARGIN for each in since if each is not None), default=None)


def _is_blinding(alert: Alert, facts: AlertFacts) -> bool:
    if alert.subject != SCHEDULER or alert.rule == IDENTITY:
        return False
    policy = facts.policy_of(AlertKey(alert.subject, alert.rule))
    return policy is not None and policy.severity == BLIND


Firing = tuple[AlertKey, int, datetime]
"""Identifies the firing that made a member: an alert that fires again differs."""


@fast_frozen(frozen=True, slots=True)
class Candidate:
    """`ancestor`: the subject whose failure explains it. `unchecked`: the ancestors of which it waits for a run.

    `is_released`: it left the incident of its parent in this pass.
    """

    key: AlertKey
    alert: Alert
    fired_at: datetime
    ancestor: str
    unchecked: frozenset[str] = frozenset()
    is_released: bool = False

    def ready_at(self, facts: AlertFacts) -> datetime:
        """Return when it becomes an incident by itself, if its parents are not checked again before."""
        if self.is_released or self.key.subject == SCHEDULER:
            return self.fired_at  # while the scheduler is blind, other alerts must find its incident
        wait = max(facts.group_wait, MAX_PARENT_WAIT) if self.unchecked else facts.group_wait
        return self.fired_at + wait

    def is_ready(self, facts: AlertFacts) -> bool:
        return self.ready_at(facts) <= facts.now


def list_candidates(
    firing: Collection[Alert],
    steps: Iterable[IncidentStep],
    resolved: Iterable[Incident],
    released: Collection[AlertKey],
    facts: AlertFacts,
) -> list[Candidate]:
    """Return the firing alerts without an incident, the earliest first, apart from those resolved by hand.

    The latter do not join their incident either when another alert has reopened it.
    """
    held = {member.key for step in steps for member in step.incident.open_members}
    ended = {each for incident in (*resolved, *(step.incident for step in steps)) for each in list_ended(incident)}
    failing, blind_since = {alert.subject for alert in firing}, find_blind_since(firing, facts)
    candidates: list[Candidate] = []
    for alert in firing:
        key, fired_at = AlertKey(alert.subject, alert.rule), alert.changed_at or facts.now
        if key in held or (key, alert.number, fired_at) in ended:
            continue
        is_blind = blind_since is not None and fired_at >= blind_since and key.subject != SCHEDULER
        ancestor = SCHEDULER if is_blind else find_failing_ancestor(key.subject, failing, facts)
        unchecked = list_unchecked_ancestors(key.subject, alert.failing_since or fired_at, facts)
        candidates.append(Candidate(key, alert, fired_at, ancestor, unchecked, key in released))
    return sorted(
        candidates, key=lambda each: (each.alert.failing_since or each.fired_at, each.key.subject, each.key.rule)
    )


def list_ended(incident: Incident) -> list[Firing]:
    """Return the firings that a person may have ended: those of an incident that a person resolved, and those that were
    over before it was reopened.
    """
    begin, members = incident.reopened_at, incident.members
    if not incident.resolved_by:
        members = (
            () if begin is None else tuple(each for each in members if each.resolved_at and each.resolved_at <= begin)
        )
    return [(each.key, each.fired, each.fired_at) for each in members]


class FactsWithParents:
    """Implements AlertFacts. `failing`: the subjects with a firing alert."""

    def __init__(self, facts: AlertFacts, failing: Collection[str]) -> None:
        self._facts = facts
        self._failing = failing

    @property
    def now(self) -> datetime:
        return self._facts.now

    @property
    def group_wait(self) -> timedelta:
        return self._facts.group_wait

    def policy_of(self, key: AlertKey) -> AlertPolicy | None:
        return self._facts.policy_of(key)

    def parents_of(self, subject: str) -> Sequence[str]:
        return self._facts.parents_of(subject)

    def is_checked_since(self, subject: str, since: datetime) -> bool:
        return self._facts.is_checked_since(subject, since)

    @property
    def started_at(self) -> datetime | None:
        return self._facts.started_at

    def first_run_end(self, subject: str, *, is_missed: bool = False) -> datetime | None:
        return self._facts.first_run_end(subject, is_missed=is_missed)

    def causes_of(self, key: AlertKey) -> Sequence[str]:
        return self._facts.causes_of(key)

    def find_shared(self, cause: str, since: datetime) -> SharedCause:
        return self._facts.find_shared(cause, since)

    def suppression_of(self, key: AlertKey) -> Suppression | None:
        suppression = self._facts.suppression_of(key)
        if suppression is not None:
            return suppression
        ancestor = find_failing_ancestor(key.subject, self._failing, self._facts)
        return Suppression(SuppressionKind.PARENT, ancestor) if ancestor else None

    def channels_of(self, incident: Incident) -> Sequence[str | DueChannel]:
        return self._facts.channels_of(incident)
