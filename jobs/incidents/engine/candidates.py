"""Firing alerts without an incident: when each becomes one, which share a cause, and what explains them meanwhile.

Self-checks fire an alert of subject SCHEDULER and severity BLIND: the scheduler itself cannot reach anything, so alerts
that fire meanwhile do not describe their targets and are members behind its incident. After it, each leaves when a run
of its subject has confirmed it (`step`).

An alert that begins to fail behind a failing parent joins the incident of the parent. One that failed before its
parent has a separate incident: while the parent fails, it is neither announced nor reminded of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from jobs.alerting.alert import Alert
from jobs.fast_frozen import fast_frozen
from jobs.incidents.engine.facts import (
    BLIND,
    BLIND_MARGIN,
    IDENTITY,
    MAX_PARENT_WAIT,
    SCHEDULER,
    AlertFacts,
    AlertPolicy,
    DueChannel,
    find_failing_ancestor,
    list_unchecked_ancestors,
)
from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import AlertKey, Incident, Suppression, SuppressionKind


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

    def suppression_of(self, key: AlertKey) -> Suppression | None:
        suppression = self._facts.suppression_of(key)
        if suppression is not None:
            return suppression
        ancestor = find_failing_ancestor(key.subject, self._failing, self._facts)
        return Suppression(SuppressionKind.PARENT, ancestor) if ancestor else None

    def channels_of(self, incident: Incident) -> Sequence[str | DueChannel]:
        return self._facts.channels_of(incident)


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
