"""Which resolved incidents can no longer be reopened, so that passes need not read them any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from jobs.alerting.alert import Alert
from jobs.incidents.engine.candidates import list_ended
from jobs.incidents.engine.facts import AlertFacts
from jobs.incidents.values import AlertKey, Incident


def expires_at(incident: Incident, firing: Collection[Alert], facts: AlertFacts) -> datetime | None:
    """Return when a resolved incident cannot be reopened any more; None while an alert that was resolved by hand
    fires, which must not open an incident.
    """
    ended = frozenset(list_ended(incident))
    if any((AlertKey(each.subject, each.rule), each.number, each.changed_at) in ended for each in firing):
        return None
    policy = facts.policy_of(incident.lead)
    resolved_at = incident.resolved_at or incident.opened_at
    return resolved_at if policy is None else resolved_at + policy.reopen_within


def list_expired(resolved: Iterable[Incident], firing: Collection[Alert], facts: AlertFacts) -> tuple[str, ...]:
    """Return the ids of incidents that have expired."""
    moments = ((each.id, expires_at(each, firing, facts)) for each in resolved)
    return tuple(incident for incident, moment in moments if moment is not None and moment < facts.now)
