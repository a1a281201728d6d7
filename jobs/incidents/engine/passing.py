"""One pass of the engine: from open incidents and alerts to what is stored and sent.

A pass is a function of its arguments: repeated after a crash, it gives the same result, and it changes nothing if
nothing has happened since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from jobs.alerting.alert import Alert, AlertStatus
from jobs.fast_frozen import fast_frozen
from jobs.incidents.engine.announcing import (
    announce,
    decide_moot,
    escalate,
    find_suppression,
    next_due,
    notify_announced,
    remind,
)
from jobs.incidents.engine.facts import MAX_PARENT_WAIT, AlertFacts, IncidentStep, confirmation_ends_at, first_runs_end
from jobs.incidents.engine.forming import form_incidents, release_members, resolve_members
from jobs.incidents.engine.joining import (
    Candidate,
    FactsWithParents,
    announce_joined,
    list_candidates,
    list_ended,
    notify_joined,
    record_change,
    released_at,
    settle,
    stable_at,
)
from jobs.incidents.headline import list_shown_subjects, name_subjects
from jobs.incidents.values import AlertKey, Incident, IncidentStatus, TransitionKind


def expires_at(incident: Incident, firing: Collection[Alert], facts: AlertFacts) -> datetime | None:
    """Return when a resolved incident cannot be reopened any more; None while an alert that was resolved by hand
    fires, which must not open an incident. An alert that fires in time reopens it when it has waited for others.
    """
    ended = frozenset(list_ended(incident))
    if any((AlertKey(each.subject, each.rule), each.number, each.changed_at) in ended for each in firing):
        return None
    policy = facts.policy_of(incident.lead)
    resolved_at = incident.resolved_at or incident.opened_at
    longest_wait = max(facts.group_wait, MAX_PARENT_WAIT)
    return resolved_at if policy is None else resolved_at + policy.reopen_within + longest_wait


def list_expired(resolved: Iterable[Incident], firing: Collection[Alert], facts: AlertFacts) -> tuple[str, ...]:
    """Return the ids of incidents that have expired."""
    moments = ((each.id, expires_at(each, firing, facts)) for each in resolved)
    return tuple(incident for incident, moment in moments if moment is not None and moment < facts.now)


@fast_frozen(frozen=True, slots=True)
class PassResult:
    """`steps`: of incidents that changed. `settled`: alerts whose rows can be deleted.

    `due_at`: when the next pass must run even if nothing happens before; None: it need not. `expired`: ids of resolved
    incidents that can no longer be reopened, so the next pass does not need them.
    """

    steps: tuple[IncidentStep, ...]
    settled: tuple[AlertKey, ...]
    due_at: datetime | None
    expired: tuple[str, ...] = ()


def run_pass(
    incidents: Sequence[Incident], alerts: Iterable[Alert], facts: AlertFacts, *, resolved: Sequence[Incident] = ()
) -> PassResult:
    """`incidents`: those that are open. `resolved`: those that can be reopened, the newest first."""
    by_key = {AlertKey(alert.subject, alert.rule): alert for alert in alerts}
    firing = [
        alert
        for key, alert in by_key.items()
        if alert.status is AlertStatus.FIRING and facts.policy_of(key) is not None
    ]
    failing = {alert.subject for alert in firing}
    # Which of two incidents an alert joins does not depend on the order in which they were read.
    ordered = sorted(incidents, key=lambda each: (each.opened_at, each.id))
    steps = [IncidentStep(incident, incident) for incident in ordered]
    for step in steps:
        resolve_members(step, by_key, facts)
        release_members(step, failing, facts)
    left = [each for step in steps for each in step.transitions if each.kind is TransitionKind.LEFT]
    released = {each.key for each in left if each.key is not None}
    candidates = list_candidates(firing, steps, resolved, released, facts)
    waiting = form_incidents(candidates, steps, resolved, facts)
    facts = FactsWithParents(facts, failing)
    for step in steps:
        _resolve(step, facts)
        announce(step, _announced_kind(step), facts)
        notify_joined(step, facts)
        announce_joined(step, facts)
        escalate(step, facts)
        remind(step, facts)
    held = {member.key for step in steps for member in step.incident.open_members}
    settled = tuple(
        key for key, alert in by_key.items() if key not in held and not alert.is_active and alert.number > 0
    )
    reopened = {step.incident.id for step in steps}
    expired = list_expired((each for each in resolved if each.id not in reopened), firing, facts)
    return PassResult(
        tuple(step for step in steps if step.is_changed), settled, _due_at(steps, waiting, facts), expired
    )


def _resolve(step: IncidentStep, facts: AlertFacts) -> None:
    incident = step.incident
    if not incident.is_open or (incident.open_members and not incident.is_flapping):
        return
    if not incident.open_members and step.before is not None and step.before.open_members:
        record_change(step, facts)
    settle(step, facts)
    incident = step.incident
    if incident.is_flapping or incident.open_members:
        return
    at = max((member.resolved_at for member in incident.members if member.resolved_at is not None), default=facts.now)
    if step.before is not None and step.before.is_flapping:
        at = facts.now  # its alerts recovered long before, and it was open until it was stable
    step.set(status=IncidentStatus.RESOLVED, resolved_at=at, suppression=None)
    names = name_subjects(step.incident)
    verb = "has" if len(list_shown_subjects(step.incident)) == 1 else "have"
    step.add_transition(TransitionKind.RESOLVED, facts.now, f"{names} {verb} recovered")
    if incident.is_announced:
        notify_announced(step, TransitionKind.RESOLVED, facts.now, facts)
        decide_moot(step, facts)
    else:
        step.decide("resolved_unannounced", facts.now, "no channel received the opening: none receives the end")


def _announced_kind(step: IncidentStep) -> TransitionKind:
    if step.incident.is_flapping:
        return TransitionKind.FLAPPING
    is_reopened = any(each.kind is TransitionKind.REOPENED for each in step.transitions)
    return TransitionKind.REOPENED if is_reopened else TransitionKind.OPENED


def _due_at(steps: Sequence[IncidentStep], waiting: Sequence[Candidate], facts: AlertFacts) -> datetime | None:
    moments = [each.ready_at(facts) for each in waiting if not each.ancestor]
    for step in steps:
        if step.incident.is_open:
            suppression = find_suppression(step.incident, facts)
            ends = None if suppression is None else suppression.until
            further = next_due(step.incident, facts), released_at(step.incident, facts), _unblocked_at(step, facts)
            moments += [each for each in (ends, step.incident.joins_due_at, *further) if each]
    return min((moment for moment in moments if moment > facts.now), default=None)


def _unblocked_at(step: IncidentStep, facts: AlertFacts) -> datetime | None:
    """Return when an incident stops to flap, or its members stop to wait for a run."""
    incident = step.incident
    moments = stable_at(incident, facts), confirmation_ends_at(incident, facts), first_runs_end(incident, facts)
    return min((each for each in moments if each is not None), default=None)
