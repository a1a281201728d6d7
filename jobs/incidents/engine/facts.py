"""What a pass of the engine knows in addition to incidents and alerts, and which failing subject explains another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from jobs.fast_frozen import fast_frozen
from jobs.incidents.values import AlertKey, Incident, Suppression

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
