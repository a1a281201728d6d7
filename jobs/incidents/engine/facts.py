"""What a pass of the engine knows in addition to incidents and alerts, and what it adds to one incident.

When the cause is over that explained an alert, a run must confirm that the alert still describes its target. The cause
is a parent, or that the scheduler was blind. Jobs are not checked in the instant in which their parent recovers:
without this, each of them would be announced, and resolved with its next run. The same holds after a start of the
scheduler: what is overdue waits for the first run of each job, which may have recovered meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from jobs.fast_frozen import fast_frozen
from jobs.incidents.values import (
    AlertDecision,
    AlertKey,
    Incident,
    Member,
    Notification,
    SharedCause,
    Suppression,
    Transition,
    TransitionKind,
)

GROUP_WAIT = timedelta(seconds=10)
"""For which a firing alert waits for others that belong to it, unless the settings set another time."""
GROUP_WINDOW = timedelta(minutes=2)
"""After the opening of an incident. Alerts with the same cause that fire within it join."""
MAX_PARENT_WAIT = timedelta(seconds=90)
"""For which an alert waits until the jobs that it depends on were checked after it began to fail."""
SCHEDULER = "scheduler"
"""The subject of alerts about the scheduler itself."""
BLIND = "blind"
"""The severity of an alert of SCHEDULER while which no alert describes its target."""
IDENTITY = "identity"
"""The rule of an alert of SCHEDULER which is not about the network or the clock: it explains no other alert."""
STARVED = "starved"
"""The rule of an alert of SCHEDULER which lacks CPU. It explains no other alert: starved runs blame no target."""
BLIND_MARGIN = timedelta(minutes=1)
"""For which the scheduler may have been blind before its self-checks failed."""
MAX_CONFIRMATION = timedelta(minutes=5)
"""For which an alert waits until its subject is checked again, after the parent that explained it has recovered, or
after the blindness during which it fired."""


@fast_frozen(frozen=True, slots=True)
class EscalationStep:
    """Channels that are notified when an incident is open for `after` without an acknowledgement."""

    after: timedelta
    channels: tuple[str, ...]


@fast_frozen(frozen=True, slots=True)
class FlappingLimit:
    """At least so many openings and resolutions of one incident within a time."""

    changes: int = 6
    within: timedelta = timedelta(hours=1)

    @property
    def stable_after(self) -> timedelta:
        """Without a change, the incident is stable."""
        return self.within / 2


@fast_frozen(frozen=True, slots=True)
class AlertPolicy:
    """What the rule of an alert sets. `channels`: empty if the routes decide. `rank`: of the severity."""

    severity: str = "down"
    rank: int = 0
    channels: tuple[str, ...] = ()
    remind_every: timedelta | None = None
    escalation: tuple[EscalationStep, ...] = ()
    reopen_within: timedelta = timedelta(minutes=10)
    flapping: FlappingLimit | None = None


@fast_frozen(frozen=True, slots=True)
class DueChannel:
    """A channel of a route. `due_at`: when its digest is sent; None: it is notified at once."""

    channel: str
    due_at: datetime | None = None


class AlertFacts(Protocol):
    """Lookups at the instant of a pass, without delay."""

    @property
    def now(self) -> datetime: ...

    @property
    def group_wait(self) -> timedelta: ...

    def policy_of(self, key: AlertKey) -> AlertPolicy | None:
        """Return the policy of a rule; None if the rule or its subject was removed."""
        ...

    def parents_of(self, subject: str) -> Sequence[str]:
        """Return the subjects on which this one depends directly."""
        ...

    def is_checked_since(self, subject: str, since: datetime) -> bool:
        """Return whether a run of the subject that was due at or after an instant has finished."""
        ...

    @property
    def started_at(self) -> datetime | None:
        """Return when the scheduler started after the latest gap in which it did not run; None if that is not known."""
        ...

    def first_run_end(self, subject: str, *, is_missed: bool = False) -> datetime | None:
        """Return until when the first run of a subject since the start is waited for; None if it is not.

        `is_missed`: only if a run was due while the scheduler did not run.
        """
        ...

    def causes_of(self, key: AlertKey) -> Sequence[str]:
        """Return what the alert may share with others, the likeliest cause first: `host api.example.com`."""
        ...

    def find_shared(self, cause: str, since: datetime) -> SharedCause:
        """Return the jobs that share a cause: those with a firing alert, and those whose newest run is good and was due
        at or after an instant. None of them are known for a cause that only failures show.
        """
        ...

    def suppression_of(self, key: AlertKey) -> Suppression | None:
        """Return the window, silence or mute time that holds back the notifications of an alert, or blindness."""
        ...

    def channels_of(self, incident: Incident) -> Sequence[str | DueChannel]:
        """Return the channels by the rules of its open members, or of its lead if none is open, or by the routes.

        A name alone: the channel is notified at once.
        """
        ...


def ancestors_of(subject: str, facts: AlertFacts) -> Iterator[str]:
    """Yield the subjects on which this one depends, the nearest first, each once. Circles end."""
    seen, following = {subject}, list(facts.parents_of(subject))
    while following:
        current, following = following, []
        for parent in current:
            if parent not in seen:
                seen.add(parent)
                yield parent
                following += facts.parents_of(parent)


def find_failing_ancestor(subject: str, failing: Collection[str], facts: AlertFacts) -> str:
    """Return the farthest ancestor with a firing alert, as it explains those in between; empty without one."""
    found = ""
    for ancestor in ancestors_of(subject, facts):
        if ancestor in failing:
            found = ancestor
    return found


def list_unchecked_ancestors(subject: str, since: datetime, facts: AlertFacts) -> frozenset[str]:
    """Return the ancestors that were not checked after an instant, so that their own failure is not known."""
    return frozenset(each for each in ancestors_of(subject, facts) if not facts.is_checked_since(each, since))


@dataclass(slots=True)
class IncidentStep:
    """`before`: None for a new incident. `is_raised`: an alert that joined has a higher severity.

    Nothing is stored if `is_changed` is False.
    """

    before: Incident | None
    incident: Incident
    transitions: list[Transition] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    decisions: list[AlertDecision] = field(default_factory=list)
    is_raised: bool = False

    @property
    def is_changed(self) -> bool:
        return self.incident != self.before or bool(self.decisions)

    def set(self, **changes: Any) -> None:
        self.incident = replace(self.incident, **changes)

    def add_transition(
        self,
        kind: TransitionKind,
        at: datetime,
        text: str,
        *,
        actor: str = "",
        key: AlertKey | None = None,
        replaced: Member | None = None,
    ) -> None:
        """Add the next transition. The first one of a new incident has number 1."""
        self.set(number=self.incident.number + 1)
        self.transitions.append(
            Transition(self.incident.id, self.incident.number, kind, at, text, actor, key, replaced)
        )

    def notify(
        self,
        channels: Iterable[str],
        kind: TransitionKind,
        due_at: datetime,
        *,
        is_digest: bool = False,
        first: int = 0,
        number: int | None = None,
    ) -> None:
        """Add a message to each of these channels. `number`: of its transition; None: of the latest one."""
        about = self.incident.number if number is None else number
        self.notifications += [
            Notification(self.incident.id, about, kind, each, due_at, is_digest, first) for each in channels
        ]

    def decide(
        self,
        code: str,
        at: datetime,
        text: str,
        *,
        key: AlertKey | None = None,
        suppression: Suppression | None = None,
        **inputs: str,
    ) -> None:
        self.decisions.append(AlertDecision(self.incident.id, at, code, text, key, suppression, inputs))


def find_end_of(incident: Incident, subject: str) -> datetime | None:
    """Return when the last alert of a subject in this incident resolved; None if one lasts, or without any."""
    ends = [member.resolved_at for member in incident.members if member.key.subject == subject]
    known = [each for each in ends if each is not None]
    return max(known) if known and len(known) == len(ends) else None


def is_unconfirmed(member: Member, end: datetime, facts: AlertFacts) -> bool:
    """Return whether a member waits for a run. `end`: of what explained it."""
    return facts.now < end + MAX_CONFIRMATION and not facts.is_checked_since(member.key.subject, end)


def confirmation_ends_at(incident: Incident, facts: AlertFacts) -> datetime | None:
    """Return when members of an incident stop to wait for a run; None if none waits."""
    parents = {member.parent for member in incident.open_members if member.parent}
    ends = [end for parent in parents if (end := find_end_of(incident, parent)) is not None]
    return min((end + MAX_CONFIRMATION for end in ends), default=None)


def first_runs_end(incident: Incident, facts: AlertFacts, *, is_missed: bool = False) -> datetime | None:
    """Return until when an incident waits for the first runs of its jobs since the start; None if it does not.

    `is_missed`: only for jobs of which a run was due while the scheduler did not run.
    """
    if facts.started_at is None:
        return None
    subjects = {member.key.subject for member in incident.open_members}
    ends = (facts.first_run_end(subject, is_missed=is_missed) for subject in subjects)
    return max((end for end in ends if end is not None), default=None)


def hold_at_start(step: IncidentStep, what: str, facts: AlertFacts, *, is_missed: bool = False) -> bool:
    """Return whether a notification waits for first runs, and record that once a start. `what`: the reminder."""
    end, started_at = first_runs_end(step.incident, facts, is_missed=is_missed), facts.started_at
    if end is None or started_at is None:
        return False
    if step.incident.held_at_start != started_at:
        step.set(held_at_start=started_at)
        text = f"the scheduler started at {started_at:%H:%M:%S} UTC: {what} waits until each job has run"
        step.decide("held_back_start", facts.now, f"{text}, at most until {end:%H:%M:%S} UTC")
    return True
