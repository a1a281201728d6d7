"""Which resolved incidents can no longer be reopened, so that passes need not read them any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from jobs.alerting.alert import Alert
from jobs.incidents.engine.candidates import list_ended
from jobs.incidents.engine.facts import LONGEST_PARENT_WAIT, AlertFacts
from jobs.incidents.values import AlertKey, Incident


def expires_at(incident: Incident, firing: Collection[Alert], facts: AlertFacts) -> datetime | None:
    """Return when a resolved incident cannot be reopened any more; None while an alert that was resolved by hand
    fires, which must not open an incident. An alert that fires in time reopens it when it has waited for others.
    """
    ended = frozenset(list_ended(incident))
    if any((AlertKey(each.subject, each.rule), each.number, each.changed_at) in ended for each in firing):
        return None
    policy = facts.policy_of(incident.lead)
    resolved_at = incident.resolved_at or incident.opened_at
    longest_wait = max(facts.group_wait, LONGEST_PARENT_WAIT)
    return resolved_at if policy is None else resolved_at + policy.reopen_within + longest_wait


def list_expired(resolved: Iterable[Incident], firing: Collection[Alert], facts: AlertFacts) -> tuple[str, ...]:
    """Return the ids of incidents that have expired."""
    moments = ((each.id, expires_at(each, firing, facts)) for each in resolved)
    return tuple(incident for incident, moment in moments if moment is not None and moment < facts.now)
