"""Updates the members of open incidents: alerts that resolved, and those whose parent recovered before them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from jobs.alerting.alert import Alert, AlertStatus
from jobs.incidents.engine.ancestry import find_failing_ancestor
from jobs.incidents.engine.confirming import find_end_of, is_unconfirmed
from jobs.incidents.engine.facts import SCHEDULER, AlertFacts
from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import AlertKey, Member, TransitionKind


def create_member(alert: Alert, facts: AlertFacts, parent: str = "") -> Member:
    """Return the member for a firing alert whose rule exists."""
    key = AlertKey(alert.subject, alert.rule)
    policy = facts.policy_of(key)
    assert policy is not None, "the rule of the alert was removed"
    fired_at = alert.changed_at or facts.now
    return Member(
        key=key,
        fired=alert.number,
        severity=policy.severity,
        rank=policy.rank,
        fired_at=fired_at,
        failing_since=alert.failing_since or fired_at,
        evidence=alert.evidence,
        parent=parent,
    )


def resolve_members(step: IncidentStep, alerts: Mapping[AlertKey, Alert], facts: AlertFacts) -> None:
    """Mark the members whose alert no longer fires, or whose rule or subject was removed."""
    members = []
    for member in step.incident.members:
        alert = alerts.get(member.key)
        if member.resolved_at is None and not _still_fires(member, alert, facts):
            resolved_at = facts.now if alert is None or alert.changed_at is None else alert.changed_at
            member = replace(member, resolved_at=max(resolved_at, member.fired_at))
            if member.parent:
                step.decide(
                    "recovered_behind_parent",
                    facts.now,
                    f"{member.key.subject} recovered before {member.parent}: no separate notification",
                    key=member.key,
                )
        members.append(member)
    step.set(members=tuple(members))


def release_members(step: IncidentStep, failing: Collection[str], facts: AlertFacts) -> None:
    """Remove the members that still fire although their parent recovered: each becomes a separate incident, or follows
    another failing parent to the incident of that one.
    """
    incident = step.incident
    explained = [member for member in incident.open_members if member.parent]
    ends = {parent: find_end_of(incident, parent) for parent in {member.parent for member in explained}}
    ancestors = {
        member.key: find_failing_ancestor(member.key.subject, failing, facts)
        for member in explained
        if member.parent != SCHEDULER or ends[SCHEDULER] is not None
    }
    waiting = {
        key
        for member in explained
        if not ancestors.get(key := member.key) and _waits(member, ends[member.parent], facts)
    }
    subjects = {member.key.subject for member in incident.open_members if not member.parent or member.key in waiting}
    staying = []
    for member in incident.members:
        if member.resolved_at is not None or not member.parent or member.key in waiting:
            staying.append(member)
        elif (ancestor := ancestors[member.key]) in subjects:
            staying.append(replace(member, parent=ancestor))
        elif ancestor:
            text = f"{member.key.subject} fails behind {ancestor}: no separate notification"
            step.decide("moved_to_parent", facts.now, text, key=member.key, parent=ancestor)
        else:
            _release(step, member, facts)
    step.set(members=tuple(staying))


def _waits(member: Member, end: datetime | None, facts: AlertFacts) -> bool:
    """Return whether a member without a failing ancestor stays: the scheduler is blind, or a run must confirm it."""
    if end is None:
        return member.parent == SCHEDULER
    return is_unconfirmed(member, end, facts)


def _release(step: IncidentStep, member: Member, facts: AlertFacts) -> None:
    recovery = "the scheduler is not blind any more" if member.parent == SCHEDULER else f"{member.parent} recovered"
    text = f"{member.key.subject} still fails although {recovery}"
    step.add_transition(TransitionKind.LEFT, facts.now, text, key=member.key)
    step.decide("left_parent", facts.now, f"{text}: it becomes a separate incident", key=member.key)


def _still_fires(member: Member, alert: Alert | None, facts: AlertFacts) -> bool:
    return (
        alert is not None
        and alert.status is AlertStatus.FIRING
        and alert.number == member.fired
        and facts.policy_of(member.key) is not None
    )
