"""Sends the daily test messages of channels with `daily_test`, once across all processes.

The process that marks the due instant in the row of the channel sends the message, at most once. Called by the hosts:

    await daily_tests.tick()
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jobs.notifications.outbox import OutboxChanges
from jobs.ports import Clock
from scheduler.alerting.channel_testing import ChannelTestSender
from scheduler.alerting.delivery.port import OutboxStore
from scheduler.stores.port import RowChanged, StoreError

if TYPE_CHECKING:  # loads pydantic models
    from jobs.notifications.channels.base import ChannelBase

LOG = logging.getLogger("scheduler.alerting")

LATEST_START = timedelta(hours=1)
"""After its time. A test that no process could send until then is skipped."""


class DailyTests:
    """`read_channels`: returns the channels of the current definitions by name."""

    def __init__(
        self,
        read_channels: Callable[[], Mapping[str, ChannelBase]],
        tester: ChannelTestSender,
        outbox: OutboxStore,
        clock: Clock,
    ) -> None:
        self._read_channels = read_channels
        self._tester = tester
        self._outbox = outbox
        self._clock = clock
        self._done: dict[str, datetime] = {}
        """When the latest test was due that some process has sent, as far as this one knows."""

    async def tick(self) -> None:
        """Send what is due. Costs a request only after a due instant. Raises nothing."""
        for name, model in self._read_channels().items():
            due_at = self._find_due(model)
            if due_at is not None and self._done.get(name) != due_at:
                try:
                    await self._send(name, model, due_at)
                except StoreError as error:
                    LOG.warning("could not start the daily test of channel %s: %s; the next tick retries", name, error)

    def _find_due(self, model: ChannelBase) -> datetime | None:
        """Return the latest instant within LATEST_START at which a test was due."""
        if model.daily_test is None:
            return None
        now, found = self._clock.now(), None
        following = model.daily_test.next_after(now - LATEST_START)
        while following is not None and following <= now:
            found, following = following, model.daily_test.next_after(following)
        return found

    async def _send(self, name: str, model: ChannelBase, due_at: datetime) -> None:
        state = await self._outbox.read_channel(name)
        is_sent = state.tested_for is not None and state.tested_for >= due_at
        if not is_sent:
            is_leased = state.leased_until is not None and state.leased_until > self._clock.now()
            if state.owner and is_leased:
                return  # the delivery changes the row now: the next tick
            try:
                await self._outbox.commit(OutboxChanges(replace(state, tested_for=due_at)))
            except RowChanged:
                return
        self._done[name] = due_at
        if not is_sent:
            result = await self._tester.send(name, model, None, "sent every day", records_failure=True)
            if not result.is_delivered:
                LOG.warning(
                    "could not send the daily test of channel %s: %s; the health reports it", name, result.error
                )
