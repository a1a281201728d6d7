"""What the delivery needs: outbox, channels and texts. Implemented by scheduler.stores.alerting and scheduler.app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jobs.incidents.values import Notification, TransitionKind
from jobs.notifications.port import (
    ChannelState,
    ChannelThread,
    Message,
    OutboxChanges,
    OutboxRow,
    Sender,
    UndeliveredNotification,
)


class OutboxStore(Protocol):
    """All methods may raise StoreUnavailable; the delivery then tries again later."""

    async def list_channels(self) -> Sequence[str]:
        """Return the channels that have rows."""
        ...

    async def list_rows(self, channel: str, limit: int) -> Sequence[OutboxRow]:
        """Return the first rows of the channel in the order of their keys, due or not."""
        ...

    async def read_channel(self, channel: str) -> ChannelState:
        """Return the stored state, or a new one without etag."""
        ...

    async def read_thread(self, channel: str, incident: str) -> ChannelThread | None: ...

    async def commit(self, changes: OutboxChanges) -> ChannelState:
        """Store all of the changes or nothing. Return the channel's state with its new etag.

        Raises:
            RowChanged: an etag is not current (for a state without etag: a state exists), or a row is deleted.
        """
        ...


class MessageRenderer(Protocol):
    async def render_digest(self, notifications: Sequence[Notification], earlier: str) -> Message:
        """Return the message about several incidents. `notifications`: the latest one of each. Raises as `render`."""
        ...

    async def render(
        self,
        notification: Notification,
        earlier: str,
        covers: Sequence[TransitionKind] = (),
        unheard: TransitionKind | None = None,
    ) -> Message:
        """Return the message of the transition with what is known now. Uses a default text if a template fails.

        `earlier`: why earlier messages of the incident were not delivered, which this one replaces; empty otherwise.
        `covers`: all transitions that the message is about, the last one included. `unheard`: see
        composing.choose_kind, which decides with them what the message announces.

        Raises:
            SendFailed: the incident does not exist.
            StoreError: it cannot be read now.
        """
        ...


class DeliveryGate(Protocol):
    async def hold(self, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        """Return the rows of a channel, those that must wait with a later `next_attempt_at`. Raises StoreError."""
        ...


class OpenGate:
    """Holds back nothing."""

    async def hold(self, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        return rows


class DeliveryListener(Protocol):
    """Hears of results once they are stored. Its methods return at once and raise nothing."""

    def message_sent(self, channel: str) -> None:
        """The channel has accepted a message."""
        ...

    def message_failed(self, channel: str) -> None:
        """The channel has not accepted a message; it may get it again."""
        ...

    def notifications_given_up(self, channel: str, letters: Sequence[UndeliveredNotification]) -> None:
        """Notifications could not be delivered to this channel, nor to any other."""
        ...


class NoDeliveryListener:
    """Ignores everything; for tests."""

    def message_sent(self, channel: str) -> None:
        """Do nothing."""

    def message_failed(self, channel: str) -> None:
        """Do nothing."""

    def notifications_given_up(self, channel: str, letters: Sequence[UndeliveredNotification]) -> None:
        """Do nothing."""


class ChannelDirectory(Protocol):
    """The channels of the current definitions."""

    def list_names(self) -> Sequence[str]: ...

    def find_sender(self, channel: str) -> Sender | None:
        """Return the sender, the same one while the channel's definition is the same; None for an unknown channel."""
        ...

    def find_fallback(self, channel: str) -> str | None: ...
