"""An incident that is resolved and reopened too often stays open until it is stable, with one notification."""

from __future__ import annotations

from datetime import datetime

from jobs.formats.durations import format_duration
from jobs.incidents.engine.announcing import describe_suppression, find_suppression, notify_announced
from jobs.incidents.engine.confirming import hold_at_start
from jobs.incidents.engine.facts import AlertFacts, FlappingLimit
from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import Incident, TransitionKind


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
