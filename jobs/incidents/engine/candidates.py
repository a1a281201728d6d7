"""Firing alerts without an incident, and when each becomes one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from jobs.alerting.alert import Alert
from jobs.fast_frozen import fast_frozen
from jobs.incidents.engine.ancestry import are_ancestors_checked, find_failing_ancestor
from jobs.incidents.engine.blindness import find_blind_since
from jobs.incidents.engine.facts import LONGEST_PARENT_WAIT, SCHEDULER, AlertFacts
from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import AlertKey, Incident, Member


@fast_frozen(frozen=True, slots=True)
class Candidate:
    """`ancestor`: the subject whose failure explains it. `is_released`: it left the incident of its parent in this
    pass.
    """

    key: AlertKey
    alert: Alert
    fired_at: datetime
    ancestor: str
    is_released: bool = False

    def ready_at(self, facts: AlertFacts) -> datetime:
        """Return when it becomes an incident at the earliest, if its parents are not checked again before."""
        if self.is_released or self.key.subject == SCHEDULER:
            return self.fired_at  # while the scheduler is blind, other alerts must find its incident
        since = self.alert.failing_since or self.fired_at
        if are_ancestors_checked(self.key.subject, since, facts):
            return self.fired_at + facts.group_wait
        return self.fired_at + max(facts.group_wait, LONGEST_PARENT_WAIT)


def list_candidates(
    firing: Collection[Alert],
    steps: Iterable[IncidentStep],
    resolved: Iterable[Incident],
    released: Collection[AlertKey],
    facts: AlertFacts,
) -> list[Candidate]:
    """Return the firing alerts without an incident, the earliest first, apart from those resolved by hand."""
    held = {member.key for step in steps for member in step.incident.open_members}
    ended = {firing_of(each) for incident in resolved if incident.resolved_by for each in incident.members}
    failing, blind_since = {alert.subject for alert in firing}, find_blind_since(firing, facts)
    found = []
    for alert in firing:
        key, fired_at = AlertKey(alert.subject, alert.rule), alert.changed_at or facts.now
        if key in held or (key, alert.number, fired_at) in ended:
            continue
        is_blind = blind_since is not None and fired_at >= blind_since and key.subject != SCHEDULER
        ancestor = SCHEDULER if is_blind else find_failing_ancestor(key.subject, failing, facts)
        found.append(Candidate(key, alert, fired_at, ancestor, key in released))
    return sorted(found, key=lambda each: (each.alert.failing_since or each.fired_at, each.key.subject, each.key.rule))


def firing_of(member: Member) -> tuple[AlertKey, int, datetime]:
    """Return what identifies the firing that made this member: an alert that fires again differs."""
    return member.key, member.fired, member.fired_at
