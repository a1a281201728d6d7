"""An outbox in memory, channels that fail as a test requests, and kills between any two writes."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from jobs.incidents.values import AlertDecision, Notification, TransitionKind
from jobs.notifications.port import (
    ChannelState,
    ChannelThread,
    Message,
    OutboxChanges,
    OutboxRow,
    SendFailed,
    SentReference,
    UndeliveredNotification,
)
from scheduler.alerting.delivery.channel_pass import DeliveryTools, deliver_channel
from scheduler.alerting.delivery.outcomes import DeliveryPolicy
from scheduler.alerting.delivery.rendering import choose_kind
from scheduler.stores.port import RowChanged
from tests.scheduler.fakes import VirtualClock

START = datetime(2026, 3, 1, 3, 1, tzinfo=UTC)
OPENED, RESOLVED, REMINDED = TransitionKind.OPENED, TransitionKind.RESOLVED, TransitionKind.REMINDED


class Killed(BaseException):
    """The process ends at this line."""


class MemoryOutbox:
    """Implements OutboxStore. `before_commit` and `after_commit` can raise."""

    def __init__(self) -> None:
        self.rows: dict[str, OutboxRow] = {}
        self.states: dict[str, ChannelState] = {}
        self.threads: dict[tuple[str, str], ChannelThread] = {}
        self.decisions: list[AlertDecision] = []
        self.dead_letters: list[UndeliveredNotification] = []
        self.before_commit: Callable[[], None] = lambda: None
        self.after_commit: Callable[[], None] = lambda: None
        self._etags = itertools.count(1)

    def add(self, notification: Notification, **fields: object) -> None:
        row = replace(OutboxRow("", notification), **fields)  # type: ignore[arg-type]
        self._insert(row)

    async def list_channels(self) -> Sequence[str]:
        return sorted({row.notification.channel for row in self.rows.values()})

    async def list_rows(self, channel: str, limit: int) -> Sequence[OutboxRow]:
        return [row for key, row in sorted(self.rows.items()) if row.notification.channel == channel][:limit]

    async def read_channel(self, channel: str) -> ChannelState:
        await asyncio.sleep(0)
        return self.states.get(channel, ChannelState(channel))

    async def read_thread(self, channel: str, incident: str) -> ChannelThread | None:
        return self.threads.get((channel, incident))

    async def commit(self, changes: OutboxChanges) -> ChannelState:
        await asyncio.sleep(0)
        self.before_commit()
        self._verify(changes)
        for row in changes.deleted:
            del self.rows[row.key]
        for row in changes.replaced:
            self.rows[row.key] = replace(row, etag=self._next())
        for row in changes.inserted:
            self._insert(row)
        for thread in changes.threads:
            self.threads[thread.channel, thread.incident] = thread
        self.decisions += changes.decisions
        self.dead_letters += changes.dead_letters
        stored = replace(changes.channel, etag=self._next())
        self.states[stored.channel] = stored
        self.after_commit()
        return stored

    def _verify(self, changes: OutboxChanges) -> None:
        assert 1 + sum(map(len, (changes.deleted, changes.replaced, changes.inserted))) <= 100
        current = self.states.get(changes.channel.channel)
        if changes.channel.etag != (current.etag if current else None):
            raise RowChanged("alerting", "all", changes.channel.channel)
        for row in (*changes.deleted, *changes.replaced):
            if row.key not in self.rows or self.rows[row.key].etag != row.etag:
                raise RowChanged("alerting", "all", row.key)

    def _insert(self, row: OutboxRow) -> None:
        said = row.notification
        key = "~".join((said.channel, said.incident, f"{said.number:08d}", *row.instead_of))
        assert key not in self.rows
        self.rows[key] = replace(row, key=key, etag=self._next())

    def _next(self) -> str:
        return str(next(self._etags))


@dataclass
class MemoryChannel:
    """A channel whose sends fail as `fail` returns. `sent`: what the service received, repetitions included.

    `was_open`: of each of these, whether its incident was open then.
    """

    fail: Callable[[Message], SendFailed | None] = lambda _: None
    sent: list[Message] = field(default_factory=list)
    references: list[SentReference | None] = field(default_factory=list)
    attempts: int = 0
    is_open: Callable[[str], bool] = lambda _: True
    was_open: list[bool] = field(default_factory=list)
    after_send: Callable[[], None] = lambda: None

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        self.attempts += 1
        await asyncio.sleep(0)
        if (failure := self.fail(message)) is not None:
            raise failure
        self.sent.append(message)
        self.was_open.append(self.is_open(message.incident))
        self.references.append(reference)
        self.after_send()
        return reference or SentReference(f"first-{message.number}")


class World:
    """Channels, outbox and clock. Implements ChannelDirectory and MessageRenderer."""

    def __init__(
        self, *names: str, fallbacks: dict[str, str] | None = None, policy: DeliveryPolicy | None = None
    ) -> None:
        self.outbox = MemoryOutbox()
        self.channels = {name: MemoryChannel(is_open=self.is_open) for name in names or ("teams",)}
        self.fallbacks = fallbacks or {}
        self.kinds: defaultdict[str, list[TransitionKind]] = defaultdict(list)
        """What the engine has stored of each incident."""
        self.clock = VirtualClock(START)
        self.policy = policy or DeliveryPolicy()

    def list_names(self) -> Sequence[str]:
        return list(self.channels)

    def find_sender(self, channel: str) -> MemoryChannel | None:
        return self.channels.get(channel)

    def find_fallback(self, channel: str) -> str | None:
        return self.fallbacks.get(channel)

    def is_open(self, incident: str) -> bool:
        changes = [kind for kind in self.kinds[incident] if kind in (OPENED, TransitionKind.REOPENED, RESOLVED)]
        return not changes or changes[-1] is not RESOLVED

    async def read_is_open(self, incident: str) -> bool:
        return self.is_open(incident)

    async def render(
        self,
        notification: Notification,
        earlier: str,
        covers: Sequence[TransitionKind] = (),
        unheard: TransitionKind | None = None,
    ) -> Message:
        covers = tuple(covers) or (notification.kind,)
        kind = choose_kind(covers, unheard, is_open=await self.read_is_open(notification.incident))
        notification = replace(notification, kind=kind)
        return Message(
            incident=notification.incident,
            number=notification.number,
            kind=notification.kind,
            severity="down",
            title=f"{notification.kind} {notification.incident}",
            text=f"not delivered: {earlier}" if earlier else "details",
            at=notification.due_at,
            dedup_key=notification.dedup_key,
            incident_key=notification.incident,
            covers=covers,
        )

    async def render_digest(self, notifications: Sequence[Notification], earlier: str) -> Message:
        last = await self.render(notifications[-1], earlier)
        names = ", ".join(f"{each.incident} {each.kind}" for each in notifications)
        return replace(last, incident="digest", title=f"DIGEST {names}")

    def tools(self, owner: str = "one") -> DeliveryTools:
        return DeliveryTools(self.outbox, self, self, self.clock, owner, policy=self.policy, jitter=lambda: 0.0)

    def put(
        self,
        number: int,
        kind: TransitionKind = OPENED,
        *,
        incident: str = "a",
        channel: str = "teams",
        after: float = 0,
        is_digest: bool = False,
    ) -> None:
        """The engine stores a notification that is due `after` seconds from now."""
        due_at = self.clock.now() + timedelta(seconds=after)
        self.kinds[incident].append(kind)
        self.outbox.add(Notification(incident, number, kind, channel, due_at, is_digest))

    async def deliver(self, channel: str = "teams", owner: str = "one") -> datetime | None:
        return await deliver_channel(self.tools(owner), channel)

    async def deliver_for(self, seconds: float, *channels: str) -> None:
        """Deliver what is due in this time, moving the clock from one due instant to the next."""
        until = self.clock.now() + timedelta(seconds=seconds)
        while True:
            dues = [await self.deliver(name) for name in channels or tuple(self.channels)]
            later = [due for due in dues if due is not None and due <= until]
            if not later:
                break
            self.clock.move(max(0.0, (min(later) - self.clock.now()).total_seconds()))
        self.clock.move((until - self.clock.now()).total_seconds())

    def codes(self) -> list[str]:
        return [each.code for each in self.outbox.decisions]
