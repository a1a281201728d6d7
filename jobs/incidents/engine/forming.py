"""Makes incidents of firing alerts that have none: behind a failing parent, with others of the same cause, or alone."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime

from jobs.alerting.alert import Alert
from jobs.fast_frozen import fast_frozen
from jobs.incidents.engine.ancestry import are_ancestors_checked, find_failing_ancestor
from jobs.incidents.engine.facts import GROUP_WINDOW, LONGEST_PARENT_WAIT, AlertFacts
from jobs.incidents.engine.members import create_member
from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import AlertKey, Incident, IncidentStatus, TransitionKind


@fast_frozen(frozen=True, slots=True)
class Candidate:
    """A firing alert without an incident. `is_released`: it left the incident of its parent in this pass."""

    key: AlertKey
    alert: Alert
    fired_at: datetime
    ancestor: str
    is_released: bool = False

    def ready_at(self, facts: AlertFacts) -> datetime:
        """Return when it becomes an incident at the earliest, if its parents are not checked again before."""
        if self.is_released:
            return self.fired_at
        since = self.alert.failing_since or self.fired_at
        if are_ancestors_checked(self.key.subject, since, facts):
            return self.fired_at + facts.group_wait
        return self.fired_at + max(facts.group_wait, LONGEST_PARENT_WAIT)


def list_candidates(
    firing: Iterable[Alert],
    steps: Iterable[IncidentStep],
    failing: Collection[str],
    released: Collection[AlertKey],
    facts: AlertFacts,
) -> list[Candidate]:
    """Return the firing alerts without an incident, the earliest first."""
    held = {member.key for step in steps for member in step.incident.open_members}
    found = [
        Candidate(
            key,
            alert,
            alert.changed_at or facts.now,
            find_failing_ancestor(key.subject, failing, facts),
            key in released,
        )
        for alert in firing
        if (key := AlertKey(alert.subject, alert.rule)) not in held
    ]
    return sorted(found, key=lambda each: (each.alert.failing_since or each.fired_at, each.key.subject, each.key.rule))


def form_incidents(
    candidates: Sequence[Candidate], steps: list[IncidentStep], resolved: Sequence[Incident], facts: AlertFacts
) -> list[Candidate]:
    """Add the candidates that are ready to `steps`. Return those that wait."""
    ready = [each for each in candidates if not each.ancestor and each.ready_at(facts) <= facts.now]
    for group, cause in _group(ready, facts):
        _add_group(group, cause, steps, resolved, facts)
    behind = [each for each in candidates if each.ancestor]
    waiting = [each for each in candidates if not each.ancestor and each.ready_at(facts) > facts.now]
    return [*waiting, *(each for each in behind if not _join_ancestor(each, steps, facts))]


def _group(ready: Sequence[Candidate], facts: AlertFacts) -> Iterator[tuple[list[Candidate], str]]:
    """Yield those that share a cause, with it; the causes of an alert are ordered by likelihood."""
    left = {each.key: each for each in ready}
    for each in ready:
        if each.key not in left:
            continue
        del left[each.key]
        yield next(_groups_of(each, left, facts), ([each], ""))


def _groups_of(
    one: Candidate, left: dict[AlertKey, Candidate], facts: AlertFacts
) -> Iterator[tuple[list[Candidate], str]]:
    for cause in () if one.is_released else facts.causes_of(one.key):
        others = [each for each in left.values() if not each.is_released and cause in facts.causes_of(each.key)]
        if others:
            for other in others:
                del left[other.key]
            yield [one, *others], cause


def _add_group(
    group: Sequence[Candidate],
    cause: str,
    steps: list[IncidentStep],
    resolved: Sequence[Incident],
    facts: AlertFacts,
) -> None:
    first = group[0]
    step = None if first.is_released else _find_same_cause(first, steps, facts)
    if step is not None:
        rest = group
        step.set(cause=step.incident.cause or next(iter(_shared_causes(first, step, facts)), ""))
    else:
        step = _reopen(first, resolved, facts) or _open(first, cause, facts)
        steps.append(step)
        rest = group[1:]
    for each in rest:
        _join(step, each, f"{each.key.subject} fails with the same cause: {step.incident.cause}", facts)


def _find_same_cause(one: Candidate, steps: Iterable[IncidentStep], facts: AlertFacts) -> IncidentStep | None:
    for step in steps:
        is_recent = facts.now - step.incident.opened_at <= GROUP_WINDOW
        if step.incident.is_open and is_recent and _shared_causes(one, step, facts):
            return step
    return None


def _shared_causes(one: Candidate, step: IncidentStep, facts: AlertFacts) -> list[str]:
    if step.incident.cause:
        return [cause for cause in facts.causes_of(one.key) if cause == step.incident.cause]
    theirs = set(facts.causes_of(step.incident.lead))
    return [cause for cause in facts.causes_of(one.key) if cause in theirs]


def _open(one: Candidate, cause: str, facts: AlertFacts) -> IncidentStep:
    member = create_member(one.alert, facts)
    incident = Incident(
        id=incident_id(one.key, one.alert.number, one.fired_at),
        number=0,
        status=IncidentStatus.OPEN,
        opened_at=facts.now,
        members=(member,),
        lead=one.key,
        cause=cause,
    )
    step = IncidentStep(None, incident)
    step.add_transition(TransitionKind.OPENED, facts.now, f"{one.key.subject}: {one.alert.evidence}", key=one.key)
    return step


def _reopen(one: Candidate, resolved: Iterable[Incident], facts: AlertFacts) -> IncidentStep | None:
    policy = facts.policy_of(one.key)
    for incident in resolved:
        is_same = incident.lead == one.key and incident.resolved_at is not None
        if is_same and policy is not None and facts.now - (incident.resolved_at or facts.now) <= policy.reopen_within:
            step = IncidentStep(incident, incident)
            members = (*incident.members, create_member(one.alert, facts))
            step.set(status=IncidentStatus.OPEN, resolved_at=None, members=members, announced=(), escalations=0)
            step.set(acknowledged_at=None, acknowledged_by="", snoozed_until=None, suppression=None)
            text = f"{one.key.subject} fails again: {one.alert.evidence}"
            step.add_transition(TransitionKind.REOPENED, facts.now, text, key=one.key)
            return step
    return None


def _join_ancestor(one: Candidate, steps: Iterable[IncidentStep], facts: AlertFacts) -> bool:
    for step in steps:
        if any(member.key.subject == one.ancestor for member in step.incident.open_members):
            _join(step, one, f"{one.key.subject} fails behind {one.ancestor}", facts, parent=one.ancestor)
            step.decide(
                "held_back_parent",
                facts.now,
                f"{one.ancestor}, on which {one.key.subject} depends, fails: no separate notification",
                key=one.key,
                parent=one.ancestor,
            )
            return True
    return False


def _join(step: IncidentStep, one: Candidate, text: str, facts: AlertFacts, parent: str = "") -> None:
    before = max(member.rank for member in step.incident.members)
    member = create_member(one.alert, facts, parent)
    step.set(members=(*step.incident.members, member))
    kind = TransitionKind.JOINED if member.rank <= before else TransitionKind.RAISED
    step.add_transition(kind, facts.now, text, key=one.key)
    if step.incident.is_announced and not parent:
        step.notify([each.channel for each in step.incident.announced], kind, facts.now)


def incident_id(key: AlertKey, fired: int, fired_at: datetime) -> str:
    """Return an id that sorts by time and is the same when a pass is repeated."""
    ms = int(fired_at.timestamp() * 1000)
    digest = hashlib.blake2b(f"{key.subject}\n{key.rule}\n{fired}".encode(), digest_size=4).hexdigest()
    return f"{ms:013d}-{digest}"
