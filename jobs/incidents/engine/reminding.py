"""Reminds of open incidents and escalates them. Both follow the clock, so that a late pass sends each once."""

from __future__ import annotations

from datetime import datetime

from jobs.formats.durations import format_duration
from jobs.incidents.engine.announcing import acknowledgement_of, find_suppression
from jobs.incidents.engine.confirming import hold_at_start
from jobs.incidents.engine.facts import AlertFacts, AlertPolicy, EscalationStep
from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import Announcement, Incident, TransitionKind


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
