"""Firing alerts without an incident, when each becomes one, and which share a cause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from jobs.alerting.alert import Alert
from jobs.fast_frozen import fast_frozen
from jobs.incidents.engine.ancestry import find_failing_ancestor, list_unchecked_ancestors
from jobs.incidents.engine.blindness import find_blind_since
from jobs.incidents.engine.facts import LONGEST_PARENT_WAIT, SCHEDULER, AlertFacts
from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import AlertKey, Incident

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
        wait = max(facts.group_wait, LONGEST_PARENT_WAIT) if self.unchecked else facts.group_wait
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
    found: list[Candidate] = []
    for alert in firing:
        key, fired_at = AlertKey(alert.subject, alert.rule), alert.changed_at or facts.now
        if key in held or (key, alert.number, fired_at) in ended:
            continue
        is_blind = blind_since is not None and fired_at >= blind_since and key.subject != SCHEDULER
        ancestor = SCHEDULER if is_blind else find_failing_ancestor(key.subject, failing, facts)
        unchecked = list_unchecked_ancestors(key.subject, alert.failing_since or fired_at, facts)
        found.append(Candidate(key, alert, fired_at, ancestor, unchecked, key in released))
    return sorted(found, key=lambda each: (each.alert.failing_since or each.fired_at, each.key.subject, each.key.rule))


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


class CandidateGroups:
    """Finds the candidates that share a cause. The causes of an alert are ordered by likelihood."""

    def __init__(self, candidates: Sequence[Candidate], facts: AlertFacts) -> None:
        self._facts = facts
        self.left = {each.key: each for each in candidates}
        self._causes = {each.key: () if each.is_released else facts.causes_of(each.key) for each in candidates}
        self._by_cause: defaultdict[str, list[Candidate]] = defaultdict(list)
        for each in candidates:
            for cause in self._causes[each.key]:
                self._by_cause[cause].append(each)

    def take(self, ready: Candidate) -> tuple[list[Candidate], str]:
        """Remove and return a ready candidate and those that share its likeliest cause, with the cause.

        A candidate that still waits for parents, other than those of the ready one, is not among them.
        """
        group, shared = [ready], ""
        for cause in self._causes[ready.key]:
            found = [
                each
                for each in self._by_cause[cause]
                if each.key in self.left and (each.unchecked <= ready.unchecked or each.is_ready(self._facts))
            ]
            if len(found) > 1:
                group, shared = found, cause
                break
        for each in group:
            del self.left[each.key]
        return group, shared
