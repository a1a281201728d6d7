"""What the delivery stores: rows of the outbox, the state of a channel, the thread of an incident in a channel.

Written by scheduler.alerting.delivery, stored by scheduler.stores.alerting. The names of the fields are stored: add
fields with a default, never rename.
"""

from __future__ import annotations

from datetime import datetime

from jobs.fast_frozen import fast_frozen
from jobs.incidents.values import AlertDecision, Notification, TransitionKind

REPEATED_KINDS = frozenset({TransitionKind.REMINDED, TransitionKind.ESCALATED, TransitionKind.FLAPPING})
"""Messages about a failure that is known: what follows can replace them."""


@fast_frozen(frozen=True, slots=True)
class OutboxRow:
    """A notification that is not delivered yet. Rows of a channel are in the order of `key`: time, incident, number.

    `due_at` of the notification: the first attempt is not before it. `next_attempt_at`: None before the first attempt.
    `instead_of`: the channels that could not deliver it, oldest first; then `reason` is the error of the last one.
    `error`: of the last attempt. Texts are without secrets.
    """

    key: str
    notification: Notification
    attempts: int = 0
    first_failed_at: datetime | None = None
    next_attempt_at: datetime | None = None
    error: str = ""
    instead_of: tuple[str, ...] = ()
    reason: str = ""
    etag: str = ""

    @property
    def due_at(self) -> datetime:
        return self.next_attempt_at or self.notification.due_at

    @property
    def dedup_key(self) -> str:
        """The same for each attempt, and another one than that of the fallback channel's own message."""
        return ":for:".join((self.notification.dedup_key, *self.instead_of))


@fast_frozen(frozen=True, slots=True)
class ChannelState:
    """`failing_since`: the first failure since the last success. `failures`: in a row. `retry_at`: no message is
    sent before it.

    `owner`, `leased_until`: the process that delivers now. `sending`: the keys of the rows whose message is being sent;
    after a crash the same rows form the same message again. `etag`: None if the state was never stored.
    `tested_for`: when the latest daily test was due.
    """

    channel: str
    owner: str = ""
    leased_until: datetime | None = None
    sending: tuple[str, ...] = ()
    last_success_at: datetime | None = None
    failing_since: datetime | None = None
    failures: int = 0
    error: str = ""
    retry_at: datetime | None = None
    delivered: int = 0
    given_up: int = 0
    tested_for: datetime | None = None
    etag: str | None = None


@fast_frozen(frozen=True, slots=True)
class ChannelThread:
    """What the messages of one incident in one channel have in common.

    `reference`: the SentReference of the channel, empty before the first message. `moved_to`: the fallback channel that
    received the opening, and so receives the rest. `is_over`: whether the last message was the resolution.
    """

    channel: str
    incident: str
    reference: str = ""
    moved_to: str = ""
    is_over: bool = False


@fast_frozen(frozen=True, slots=True)
class UndeliveredNotification:
    """A dead letter: a notification that no channel could deliver. `channels`: those that were tried, in order."""

    notification: Notification
    channels: tuple[str, ...]
    at: datetime
    error: str


@fast_frozen(frozen=True, slots=True)
class OutboxChanges:
    """One transaction, at most 100 rows. `channel`, `deleted` and `replaced` are fenced by their etags.

    `inserted` rows have an empty key: the store makes it, as for rows of the engine.
    """

    channel: ChannelState
    deleted: tuple[OutboxRow, ...] = ()
    replaced: tuple[OutboxRow, ...] = ()
    inserted: tuple[OutboxRow, ...] = ()
    threads: tuple[ChannelThread, ...] = ()
    decisions: tuple[AlertDecision, ...] = ()
    dead_letters: tuple[UndeliveredNotification, ...] = ()
