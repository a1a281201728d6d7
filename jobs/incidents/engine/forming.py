"""Makes incidents of firing alerts that have none: behind a failing parent, with others of the same cause, or alone;
and updates their members.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from jobs.alerting.alert import Alert, AlertStatus
from jobs.incidents.engine.facts import (
    GROUP_WINDOW,
    SCHEDULER,
    AlertFacts,
    IncidentStep,
    find_end_of,
    find_failing_ancestor,
    is_unconfirmed,
    list_unchecked_ancestors,
)
from jobs.incidents.engine.joining import Candidate, collect_joined, hold_back_joined, record_change
from jobs.incidents.engine.shared_causes import CandidateGroups, SharedCauses
from jobs.incidents.values import AlertKey, Incident, IncidentStatus, Member, TransitionKind


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


def form_incidents(
    candidates: Sequence[Candidate], steps: list[IncidentStep], resolved: Sequence[Incident], facts: AlertFacts
) -> list[Candidate]:
    """Add the candidates that are ready to `steps`. Return those that wait.

    What shares a cause with an open incident joins it at once; what shares one with a ready candidate is ready, too.
    """
    alone = [each for each in candidates if not each.ancestor]
    shared = SharedCauses(alone, facts)
    forming = _Forming(steps, resolved, shared, facts)
    waiting = forming.join_open(alone)
    waiting = forming.join_open(forming.open_groups(waiting))
    behind = [each for each in candidates if each.ancestor]
    waiting += _join_ancestors(behind, steps, facts)
    for step in steps:
        shared.show(step)
    return waiting


class _Forming:
    """Finds the incident of a group, or opens one. Each lookup is by index."""

    def __init__(
        self, steps: list[IncidentStep], resolved: Sequence[Incident], shared: SharedCauses, facts: AlertFacts
    ) -> None:
        self._steps = steps
        self._shared = shared
        self._facts = facts
        self._resolved = {incident.lead: incident for incident in reversed(resolved)}
        self._members = {
            member.key: step for step in steps if step.incident.is_open for member in step.incident.members
        }
        self._by_cause: dict[str, IncidentStep] = {}
        self._by_cause_of_lead: dict[str, IncidentStep] = {}
        for step in steps:
            self._index(step)

    def join_open(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Add candidates to the open incidents that they belong to. Return the others."""
        joining: dict[str, list[Candidate]] = {}
        unjoined = []
        for candidate in candidates:
            own = None if candidate.is_released else self._members.get(candidate.key)
            if own is not None and candidate.is_ready(self._facts):
                _join(own, [candidate], "{} fails again", self._facts)
                if own.incident.lead == candidate.key:
                    record_change(own, self._facts)
            elif own is None and (same := self._find_same_cause(candidate)) is not None:
                joining.setdefault(same.incident.id, []).append(candidate)
            else:
                unjoined.append(candidate)
        for step in self._steps:
            self._join_same_cause(step, joining.get(step.incident.id, ()))
        self._shared.remove(each for group in joining.values() for each in group)
        return unjoined

    def open_groups(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Open an incident for each ready candidate with those that share its cause. Return those that wait."""
        # What has failed before in an open incident waits until it is ready itself, and joins that.
        again = {each.key: each for each in candidates if each.key in self._members and not each.is_released}
        groups = CandidateGroups([each for each in candidates if each.key not in again], self._shared, self._facts)
        for each in candidates:
            if each.key in groups.left and each.is_ready(self._facts):
                self._add_group(*groups.take(each))
        return [*again.values(), *groups.left.values()]

    def _add_group(self, group: Sequence[Candidate], cause: str) -> None:
        first = group[0]
        step = self._find_same_cause(first)
        self._shared.remove(group)
        if step is None:
            step = self._reopen(first, cause) or self._open(first, cause)
            group = group[1:]
            self._steps.append(step)
            self._index(step)
        self._join_same_cause(step, group)

    def _join_same_cause(self, step: IncidentStep, group: Sequence[Candidate]) -> None:
        _join(step, group, f"{{}} fails with the same cause: {step.incident.cause}", self._facts)

    def _index(self, step: IncidentStep) -> None:
        incident = step.incident
        if incident.is_open and self._facts.now - incident.opened_at <= GROUP_WINDOW:
            if incident.cause:
                self._by_cause.setdefault(incident.cause, step)
            for cause in self._facts.causes_of(incident.lead):
                self._by_cause_of_lead.setdefault(cause, step)

    def _find_same_cause(self, candidate: Candidate) -> IncidentStep | None:
        for cause in self._shared.causes_of(candidate.key):
            step = self._by_cause.get(cause)
            if step is not None and self._can_join(candidate, step):
                return step
            step = self._by_cause_of_lead.get(cause)
            if step is not None and self._explains_more(cause, step) and self._can_join(candidate, step):
                self._set_cause(step, cause)
                return step
        return None

    def _explains_more(self, cause: str, step: IncidentStep) -> bool:
        return step.incident.is_open and self._shared.explains_more(cause, step.incident)

    def _set_cause(self, step: IncidentStep, cause: str) -> None:
        if step.incident.cause:
            text = f"{cause} explains more alerts than {step.incident.cause}, and is the cause from now on"
            step.decide("cause_widened", self._facts.now, text, cause=cause, before=step.incident.cause)
        step.set(cause=cause)
        self._by_cause.setdefault(cause, step)

    def _can_join(self, candidate: Candidate, step: IncidentStep) -> bool:
        """Return whether a candidate waits for no parent, or only for those that the lead has waited for, too."""
        if not candidate.unchecked or candidate.is_ready(self._facts):
            return True
        lead = step.incident.lead_member
        return candidate.unchecked <= list_unchecked_ancestors(lead.key.subject, lead.failing_since, self._facts)

    def _reopen(self, candidate: Candidate, cause: str) -> IncidentStep | None:
        facts, incident, policy = self._facts, self._resolved.get(candidate.key), self._facts.policy_of(candidate.key)
        if incident is None or policy is None or incident.resolved_at is None:
            return None
        if candidate.fired_at - incident.resolved_at > policy.reopen_within:
            return None
        step = IncidentStep(incident, incident)
        step.set(status=IncidentStatus.OPEN, resolved_at=None, resolved_by="", reopened_at=facts.now)
        step.set(announced=(), escalations=0, notified_at=None, suppression=None, cause=cause or incident.cause)
        step.set(acknowledged_at=None, acknowledged_by="", snoozed_until=None, held_at_start=None)
        step.set(joins_due_at=None, joins_from=0)
        replaced = _find_replaced(step, [candidate])
        _add_members(step, [candidate], facts)
        text = f"{candidate.key.subject} fails again: {candidate.alert.evidence}"
        step.add_transition(
            TransitionKind.REOPENED, facts.now, text, key=candidate.key, replaced=replaced.get(candidate.key)
        )
        record_change(step, facts)
        return step

    def _open(self, candidate: Candidate, cause: str) -> IncidentStep:
        incident = Incident(
            id=incident_id(candidate.key, candidate.alert.number, candidate.fired_at),
            number=0,
            status=IncidentStatus.OPEN,
            opened_at=self._facts.now,
            members=(create_member(candidate.alert, self._facts),),
            lead=candidate.key,
            cause=cause,
        )
        step = IncidentStep(None, incident)
        text = f"{candidate.key.subject}: {candidate.alert.evidence}"
        step.add_transition(TransitionKind.OPENED, self._facts.now, text, key=candidate.key)
        record_change(step, self._facts)
        return step


def _join_ancestors(behind: Sequence[Candidate], steps: Iterable[IncidentStep], facts: AlertFacts) -> list[Candidate]:
    """Add candidates to the incidents of their ancestors. Return those whose ancestor has none yet."""
    holders: dict[str, IncidentStep] = {}
    for step in steps:
        for member in step.incident.open_members:
            holders.setdefault(member.key.subject, step)
    joining: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in behind:
        joining[candidate.ancestor].append(candidate)
    waiting = []
    for ancestor, group in joining.items():
        if ancestor not in holders:
            waiting += group
            continue
        _join(holders[ancestor], group, f"{{}} fails behind {ancestor}", facts, parent=ancestor)
        for candidate in group:
            _decide_held_back(holders[ancestor], candidate, facts)
    return waiting


def _decide_held_back(step: IncidentStep, candidate: Candidate, facts: AlertFacts) -> None:
    if candidate.ancestor == SCHEDULER:
        text = f"the scheduler is blind: the alert of {candidate.key.subject} does not describe its target"
        step.decide("held_back_blind", facts.now, text, key=candidate.key, parent=SCHEDULER)
    else:
        text = f"{candidate.ancestor}, on which {candidate.key.subject} depends, fails: no separate notification"
        step.decide("held_back_parent", facts.now, text, key=candidate.key, parent=candidate.ancestor)


def _join(step: IncidentStep, group: Sequence[Candidate], text: str, facts: AlertFacts, parent: str = "") -> None:
    """Add alerts to an incident, and collect those that nothing holds back for one message. `text`: has the subject
    in place of {}. A further rule of a job that fails already causes none unless the severity rises.
    """
    if not group:
        return
    subjects = {member.key.subject for member in step.incident.open_members}
    first = rank = max(member.rank for member in step.incident.open_members or step.incident.members)
    collected: dict[AlertKey, int] = {}
    replaced = _find_replaced(step, group)
    for candidate, added in zip(group, _add_members(step, group, facts, parent), strict=True):
        kind = TransitionKind.JOINED if added <= rank else TransitionKind.RAISED
        rank = max(rank, added)
        is_further = candidate.key.subject in subjects
        sentence = f"the rule {candidate.key.rule} of {{}} is met, too" if is_further else text
        step.add_transition(
            kind,
            facts.now,
            sentence.format(candidate.key.subject),
            key=candidate.key,
            replaced=replaced.get(candidate.key),
        )
        if parent or hold_back_joined(step, candidate.key, facts):
            continue
        if is_further and kind is TransitionKind.JOINED:
            _join_silently(step, candidate.key, facts)
        else:
            collected[candidate.key] = step.incident.number
            step.is_raised |= added > first
    if collected and step.incident.is_announced and not step.incident.is_flapping:
        fired_at = min(candidate.fired_at for candidate in group if candidate.key in collected)
        collect_joined(step, collected, fired_at, facts)


def _join_silently(step: IncidentStep, key: AlertKey, facts: AlertFacts) -> None:
    if step.incident.is_announced:
        text = f"{key.subject} is in the incident already: only channels that its rule {key.rule} adds are notified"
        step.decide("held_back_same_job", facts.now, text, key=key)


def _add_members(step: IncidentStep, group: Sequence[Candidate], facts: AlertFacts, parent: str = "") -> list[int]:
    """A member replaces that of an earlier firing of its alert. Return the ranks.

    One that left the incident can have earlier firings among the transitions.
    """
    known, is_new = {member.key for member in step.incident.members}, step.before is None
    members = [
        replace(
            create_member(each.alert, facts, parent),
            has_replaced=each.key in known or (each.alert.number > 1 and not is_new),
        )
        for each in group
    ]
    keys = {member.key for member in members}
    step.set(members=(*(each for each in step.incident.members if each.key not in keys), *members))
    return [member.rank for member in members]


def _find_replaced(step: IncidentStep, group: Sequence[Candidate]) -> dict[AlertKey, Member]:
    """Return the members of earlier firings that these alerts replace, without their evidence."""
    keys = {each.key for each in group}
    return {each.key: replace(each, evidence="") for each in step.incident.members if each.key in keys}


def incident_id(key: AlertKey, fired: int, fired_at: datetime) -> str:
    """Return an id that sorts by time and is the same when a pass is repeated."""
    ms = int(fired_at.timestamp() * 1000)
    digest = hashlib.blake2b(f"{key.subject}\n{key.rule}\n{fired}".encode(), digest_size=4).hexdigest()
    return f"{ms:013d}-{digest}"
