"""Deliver the due rows of one channel. Called by scheduler.alerting.delivery.delivery.

Before a message is sent, the channel's row names the rows that it consists of (`sending`), in the write that acquires
the lease or that records the message before it. So a process that is killed between sending and recording leaves enough
for the next one to send the same message again, with the same deduplication key.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from jobs.incidents.values import TransitionKind
from jobs.notifications.port import (
    ChannelState,
    ChannelThread,
    OutboxChanges,
    OutboxRow,
    Sender,
    SendFailed,
    SentReference,
)
from jobs.ports import Clock
from scheduler.alerting.delivery.outcomes import (
    DeliveryPolicy,
    give_up_batch,
    is_exhausted,
    move_batch,
    pause_channel,
    record_failure,
    record_success,
    split_changes,
)
from scheduler.alerting.delivery.port import (
    ChannelDirectory,
    DeliveryGate,
    DeliveryListener,
    MessageRenderer,
    NoDeliveryListener,
    OpenGate,
    OutboxStore,
)
from scheduler.alerting.delivery.rendering import Batch, find_channel_due, form_batches, list_incidents, render_batch
from scheduler.stores.port import RowChanged, StoreError, StoreUnavailable

LOG = logging.getLogger(__name__)

_FAILURES_BEFORE_PAUSE = 2
"""A single failure can be caused by its message; two different ones are caused by the channel."""
_COMMIT_WAITS_S = (0.2, 1.0, 5.0)


@dataclass(frozen=True, slots=True)
class DeliveryTools:
    """Shared by the channels of a process. `owner`: unique for the process. `jitter`: returns 0 to 1.

    `is_only_worker`: no other process delivers, so the lease of another one was left by a process that was killed.
    """

    store: OutboxStore
    channels: ChannelDirectory
    renderer: MessageRenderer
    clock: Clock
    owner: str
    policy: DeliveryPolicy = field(default_factory=DeliveryPolicy)
    jitter: Callable[[], float] = random.random
    is_only_worker: bool = False
    listener: DeliveryListener = field(default_factory=NoDeliveryListener)
    gate: DeliveryGate = field(default_factory=OpenGate)

    async def list_rows(self, channel: str) -> Sequence[OutboxRow]:
        return await self.gate.hold(await self.store.list_rows(channel, self.policy.rows_per_pass))


async def deliver_channel(tools: DeliveryTools, channel: str) -> datetime | None:
    """Send what is due. Return when the channel is due again, None if it has no rows.

    Raises:
        StoreUnavailable: nothing is lost; call it again later.
    """
    state = await tools.store.read_channel(channel)
    rows = await tools.list_rows(channel)
    now = tools.clock.now()
    if not rows:
        return None
    if not tools.is_only_worker and state.owner not in ("", tools.owner) and (state.leased_until or now) > now:
        return state.leased_until
    due_at = _find_due(tools, channel, state, rows)
    if due_at > now:
        return due_at
    try:
        await _ChannelPass(tools, state).run(rows)
    except RowChanged:
        # Another process has acquired the lease, or the engine has changed a row: the next pass reads again.
        LOG.debug("could not deliver all of channel %s: a row was changed; the next pass reads them again", channel)
        return tools.clock.now()
    return await _read_next_due(tools, channel)


async def _read_next_due(tools: DeliveryTools, channel: str) -> datetime | None:
    rows = await tools.list_rows(channel)
    return _find_due(tools, channel, await tools.store.read_channel(channel), rows) if rows else None


def _find_due(tools: DeliveryTools, channel: str, state: ChannelState, rows: Sequence[OutboxRow]) -> datetime:
    has_fallback = tools.channels.find_fallback(channel) is not None
    return find_channel_due(rows, state, tools.clock.now(), tools.policy.fallback_after if has_fallback else None)


class _ChannelPass:
    """One pass over the due rows of a channel, under its lease. `self._state` is what the store has."""

    def __init__(self, tools: DeliveryTools, state: ChannelState) -> None:
        self._tools = tools
        self._state = state
        self._failures = 0

    async def run(self, rows: Sequence[OutboxRow]) -> None:
        batches = form_batches(rows, self._state, self._tools.clock.now())
        await self._commit(OutboxChanges(self._lease(self._state, batches)))
        while batches:
            batch = batches.pop(0)
            if self._must_move(batch):
                await self._commit(self._plan_next(self._move(batch, self._state.error), batches))
            elif not await self._deliver(batch, batches):
                break

    def _must_move(self, batch: Batch) -> bool:
        """Whether the channel has failed for so long that the fallback channel is used without an attempt."""
        now = self._tools.clock.now()
        if not is_exhausted(self._tools.policy, self._state, now) or self._find_fallback(batch) is None:
            return False
        return self._failures > 0 or (self._state.retry_at is not None and self._state.retry_at > now)

    async def _deliver(self, batch: Batch, rest: list[Batch]) -> bool:
        """Send a message and record the result. Return whether the channel can get another one."""
        for incident in list_incidents(batch):
            part = tuple(row for row in batch if row.notification.incident == incident)
            thread = await self._tools.store.read_thread(self._state.channel, incident)
            if (follows := self._find_moved_to(part, thread)) is not None:
                reason = f"the opening was sent to {follows}, because {self._state.channel} failed"
                if left := tuple(row for row in batch if row not in part):
                    rest.insert(0, left)
                await self._commit(self._plan_next(move_batch(self._state, part, follows, reason, self._now), rest))
                return True
        sender = self._tools.channels.find_sender(self._state.channel)
        if sender is None:
            missing = f"the channel {self._state.channel} is not defined"
            await self._commit(self._plan_next(give_up_batch(self._state, batch, missing, self._now), rest))
            return True
        try:
            sent = await self._send(sender, batch, thread)
        except SendFailed as failure:
            return await self._record_failure(batch, failure, rest)
        await self._commit(self._plan_next(record_success(self._state, batch, sent, self._now), rest))
        self._tools.listener.message_sent(self._state.channel)
        self._failures = 0
        return True

    async def _send(self, sender: Sender, batch: Batch, thread: ChannelThread | None) -> ChannelThread:
        """Return the thread that the message leaves. Raises SendFailed; StoreError: not a failure of the channel."""
        limit = self._tools.policy.send_timeout.total_seconds()
        is_reply = len(list_incidents(batch)) == 1 and thread is not None and bool(thread.reference)
        reference = SentReference(thread.reference) if is_reply and thread is not None else None
        try:
            async with asyncio.timeout(limit):
                message = await render_batch(self._tools.renderer, batch, thread)
                sent = await sender.send(message, reference) or reference
                incident, value = batch[-1].notification.incident, sent.value if sent else ""
                return ChannelThread(self._state.channel, incident, value, is_over=message.is_resolution)
        except (SendFailed, StoreError):
            raise
        except TimeoutError:
            raise SendFailed(f"the channel did not accept the message within {limit:g} s") from None
        except Exception as error:
            LOG.exception("could not send %s to channel %s; it is retried", batch[-1].dedup_key, self._state.channel)
            raise SendFailed(f"unexpected {type(error).__name__}") from None

    async def _record_failure(self, batch: Batch, failure: SendFailed, rest: list[Batch]) -> bool:
        jitter = self._tools.jitter()
        fallback = self._find_fallback(batch)
        changes = record_failure(
            self._tools.policy, self._state, batch, failure, self._now, fallback=fallback, jitter=jitter
        )
        self._failures += 0 if failure.is_permanent else 1
        is_paused = failure.retry_after is not None or self._failures >= _FAILURES_BEFORE_PAUSE
        if is_paused:
            changes = replace(changes, channel=pause_channel(changes.channel, failure, self._now, jitter))
        can_continue = not is_paused or (
            is_exhausted(self._tools.policy, changes.channel, self._now) and bool(fallback)
        )
        await self._commit(self._plan_next(changes, rest if can_continue else []))
        self._tools.listener.message_failed(self._state.channel)
        LOG.warning(
            "could not send %s to channel %s: %s; %s",
            batch[-1].dedup_key,
            self._state.channel,
            failure,
            "it is retried" if changes.replaced else changes.decisions[0].text,
        )
        return can_continue

    def _plan_next(self, changes: OutboxChanges, rest: list[Batch]) -> OutboxChanges:
        return replace(changes, channel=self._lease(changes.channel, rest))

    def _lease(self, state: ChannelState, batches: list[Batch]) -> ChannelState:
        """Extend the lease for the next message, or release it after the last one."""
        if not batches:
            return replace(state, owner="", leased_until=None, sending=())
        until = self._now + self._tools.policy.lease
        return replace(state, owner=self._tools.owner, leased_until=until, sending=tuple(row.key for row in batches[0]))

    def _move(self, batch: Batch, error: str) -> OutboxChanges:
        fallback = self._find_fallback(batch)
        assert fallback is not None
        return move_batch(self._state, batch, fallback, error, self._now)

    def _find_fallback(self, batch: Batch) -> str | None:
        """Return the fallback channel, unless it has been tried already."""
        found = self._tools.channels.find_fallback(self._state.channel)
        tried = (*batch[0].instead_of, self._state.channel)
        is_usable = found is not None and found not in tried and self._tools.channels.find_sender(found) is not None
        return found if is_usable else None

    def _find_moved_to(self, batch: Batch, thread: ChannelThread | None) -> str | None:
        """Return the channel that got the opening in place of this one. A reopened incident starts here again."""
        starts = any(row.notification.kind in (TransitionKind.OPENED, TransitionKind.REOPENED) for row in batch)
        if thread is None or starts or thread.moved_to in batch[0].instead_of:
            return None
        is_defined = bool(thread.moved_to) and self._tools.channels.find_sender(thread.moved_to) is not None
        return thread.moved_to if is_defined else None

    async def _commit(self, changes: OutboxChanges) -> None:
        """Store the changes. A short outage of the store must not send the message again."""
        for part in split_changes(changes, self._state):
            self._state = await self._commit_part(replace(part, channel=replace(part.channel, etag=self._state.etag)))
        if changes.dead_letters:
            self._tools.listener.notifications_given_up(self._state.channel, changes.dead_letters)

    async def _commit_part(self, changes: OutboxChanges) -> ChannelState:
        for wait in _COMMIT_WAITS_S:
            try:
                return await self._tools.store.commit(changes)
            except StoreUnavailable:
                await self._tools.clock.sleep(wait)
        return await self._tools.store.commit(changes)

    @property
    def _now(self) -> datetime:
        return self._tools.clock.now()
