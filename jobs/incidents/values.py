"""The values of incidents. Small and frozen.

All instants are aware UTC datetimes. The values of the enums are stored: add, never rename.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from jobs.fast_frozen import fast_frozen


class IncidentStatus(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"


class TransitionKind(StrEnum):
    OPENED = "opened"
    REOPENED = "reopened"
    JOINED = "joined"
    """Another alert joined."""
    LEFT = "left"
    """An alert that still fires became a separate incident, because its parent recovered."""
    RAISED = "raised"
    """The severity rose."""
    FLAPPING = "flapping"
    """It was resolved and reopened so often that it stays open until it is stable."""
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    UNACKNOWLEDGED = "unacknowledged"
    """A person withdrew the acknowledgement or the snooze."""
    NOTE_ADDED = "note_added"
    REMINDED = "reminded"
    ESCALATED = "escalated"
    RESOLVED = "resolved"


class SuppressionKind(StrEnum):
    """Why a notification is held back, in the order in which they are considered."""

    BLIND = "blind"
    """The scheduler itself could not reach anything: the alert does not describe its target."""
    PARENT = "parent"
    """A job that this one depends on fails."""
    WINDOW = "window"
    SILENCE = "silence"
    MUTE_TIME = "mute_time"
    SNOOZED = "snoozed"
    ACKNOWLEDGED = "acknowledged"


@fast_frozen(frozen=True, slots=True)
class Suppression:
    """`name`: of the window, route or parent, or the id of the silence. `until`: when notifications are possible again;
    None if that is not known. `scope`: of a silence, what it selects. `followed_by`: the title of another one that
    holds until then, if this one ends earlier.
    """

    kind: SuppressionKind
    name: str
    reason: str = ""
    until: datetime | None = None
    scope: str = ""
    followed_by: str = ""

    @property
    def title(self) -> str:
        """`window patching`, `silence of team=payments`."""
        kind = self.kind.replace("_", " ")
        return f"{kind} of {self.scope}" if self.scope else f"{kind} {self.name}".rstrip()

    @property
    def titles(self) -> str:
        """`window patching, then the silence of checkout`."""
        return f"{self.title}, then the {self.followed_by}" if self.followed_by else self.title


@fast_frozen(frozen=True, slots=True)
class AlertKey:
    """`subject`: a job, a group, an objective or the scheduler. `rule`: its name, unique for the subject."""

    subject: str
    rule: str


@fast_frozen(frozen=True, slots=True)
class Member:
    """An alert of an incident. `fired`: how often the alert had fired, so that a later firing is another member."""

    key: AlertKey
    fired: int
    severity: str
    rank: int
    """Of the severity."""
    fired_at: datetime
    failing_since: datetime
    evidence: str = ""
    parent: str = ""
    """The subject whose failure explains this one; it is not announced by itself then."""
    resolved_at: datetime | None = None
    has_replaced: bool = False
    """Whether the alert can have fired before in this incident: the transitions have the members that were replaced."""
    is_held_back: bool = False
    """Whether it joined an announced incident inside of a silence or window."""
    joined_number: int = 0
    """Of the transition with which it joined an announced incident, if a message names it."""


@fast_frozen(frozen=True, slots=True)
class Announcement:
    """That a channel was sent the opening. `number`: of the transition that it announced.

    `due_at`: of the digest that contains it; None if it was sent at once.
    """

    channel: str
    number: int
    due_at: datetime | None = None


@fast_frozen(frozen=True, slots=True)
class SharedCause:
    """What an alert may share with others, and the jobs that speak against it. `failing`, `sharing`, `fine`: jobs.

    `fine_jobs`: the first ones. The other jobs that share it have not run since the trouble began.
    """

    cause: str
    failing: int = 0
    sharing: int = 0
    fine: int = 0
    fine_jobs: tuple[str, ...] = ()


@fast_frozen(frozen=True, slots=True)
class AzureHealth:
    """What Azure reports about a resource or a subscription that the job of an alert names. `changes`: of the state.

    `state`: what a later report is compared with; empty if it is not known. `text`: a sentence with words of Azure.
    """

    resource: str
    key: AlertKey
    state: str
    text: str
    at: datetime
    changes: int = 0


@fast_frozen(frozen=True, slots=False)  # the cached properties are read dozens of times for a message
class Incident:
    """`number`: of its latest transition, 1 for the opening. `lead`: the alert that opened it; see `leading`."""

    id: str
    number: int
    status: IncidentStatus
    opened_at: datetime
    members: tuple[Member, ...]
    lead: AlertKey
    cause: str = ""
    """What the members share, such as `host api.example.com`; empty for a single one."""
    announced: tuple[Announcement, ...] = ()
    """The channels that receive the resolution: those that have received the opening, and no others."""
    suppression: Suppression | None = None
    """Why it is not announced yet, or not reminded of."""
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    snoozed_until: datetime | None = None
    notified_at: datetime | None = None
    escalations: int = 0
    """Steps of the escalation that were executed."""
    resolved_at: datetime | None = None
    resolved_by: str = ""
    """Who resolved it by hand."""
    reopened_at: datetime | None = None
    changes: tuple[datetime, ...] = ()
    """The latest openings, resolutions and reopenings, for rules that detect flapping."""
    flapping_since: datetime | None = None
    held_at_start: datetime | None = None
    """The start of the scheduler after which notifications waited for runs."""
    joins_due_at: datetime | None = None
    """When the message about the alerts that joined is due; None without any."""
    joins_from: int = 0
    """The number of the transition with which the first of them joined."""
    shared: tuple[SharedCause, ...] = ()
    """What its lead shares with other jobs, `cause` first, as it was when the latest alert joined."""
    azure: tuple[AzureHealth, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.status is IncidentStatus.OPEN

    @property
    def is_handled(self) -> bool:
        """Whether it is acknowledged or was snoozed, even if the snooze has ended."""
        return self.acknowledged_at is not None or self.snoozed_until is not None

    @property
    def is_announced(self) -> bool:
        return bool(self.announced)

    @property
    def is_flapping(self) -> bool:
        return self.flapping_since is not None

    @cached_property
    def open_members(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.resolved_at is None)

    @property
    def lead_member(self) -> Member:
        return self.find(self.lead) or self.members[0]

    @cached_property
    def shown_members(self) -> tuple[Member, ...]:
        """Those that are open; without any, those that a person resolved, or all since it was opened or reopened.

        The worst first: see position_of.
        """
        by_hand = tuple(each for each in self.members if self.resolved_by and each.resolved_at == self.resolved_at)
        begin = self.reopened_at or self.opened_at
        latest = tuple(each for each in self.members if each.resolved_at is not None and each.resolved_at >= begin)
        return tuple(sorted(self.open_members or by_hand or latest or self.members, key=self.position_of))

    @property
    def leading(self) -> Member:
        """The member that titles, texts and pages name, with its severity, reason and times.

        One that no parent explains, of the worst severity; of several the one that has failed for the longest time.
        """
        return self.shown_members[0]

    def position_of(self, member: Member) -> tuple[bool, int, float, bool, str, str]:
        """Sort members: those that no parent explains, then the worst severity, then the longest time."""
        key, begin = member.key, member.failing_since
        length = begin.timestamp() if member.resolved_at is None else (begin - member.resolved_at).total_seconds()
        return bool(member.parent), -member.rank, length, key != self.lead, key.subject, key.rule

    @property
    def failing_since(self) -> datetime:
        return self.leading.failing_since

    @property
    def severity(self) -> str:
        return self.leading.severity

    @property
    def worst_severity(self) -> str:
        """That of the highest rank, also of members that a parent explains: routes are matched by it."""
        return max(self.open_members or self.members, key=lambda member: member.rank).severity

    def list_joined(self, first: int, number: int) -> list[Member]:
        """Return the open members that joined with the transitions from `first` to `number`, in this order."""
        found = [each for each in self.open_members if first <= each.joined_number <= number]
        return sorted(found, key=lambda each: each.joined_number)

    def find(self, key: AlertKey) -> Member | None:
        return next((member for member in reversed(self.members) if member.key == key), None)


@fast_frozen(frozen=True, slots=True)
class Transition:
    """`actor`: who caused it, empty if the program did. `text`: a sentence for people.

    `replaced`: the member of an earlier firing of the same alert, whose place the alert of `key` took.
    """

    incident: str
    number: int
    kind: TransitionKind
    at: datetime
    text: str
    actor: str = ""
    key: AlertKey | None = None
    replaced: Member | None = None


@fast_frozen(frozen=True, slots=True)
class Notification:
    """What one channel is to be sent: a row of the outbox. `number`: of the transition.

    `is_digest`: the digests of several incidents that are due in one channel are one message. `first`: of a message
    about several alerts that joined, the number of the first one's transition.
    """

    incident: str
    number: int
    kind: TransitionKind
    channel: str
    due_at: datetime
    is_digest: bool = False
    first: int = 0

    @property
    def dedup_key(self) -> str:
        return f"{self.incident}:{self.number}:{self.channel}"


@fast_frozen(frozen=True, slots=True)
class AlertDecision:
    """Why something was announced, held back or changed. `inputs`: the values that decided, by name."""

    incident: str
    at: datetime
    code: str
    text: str
    key: AlertKey | None = None
    suppression: Suppression | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
