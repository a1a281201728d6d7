"""Everything of alerting that a process has: evaluation, passes of the engine, delivery. Made by
scheduler.app.alerting_setup, run by the hosts.

    await alerting.run()                 # embedded host: until cancelled, a tick each second
    await alerting.run_once(limit)       # Functions host: in the tick, and after a batch with affected runs
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.incidents.suppression.windows import RequestedWindow, Silence
from jobs.ports import Clock
from scheduler.alerting.azure_health import AzureHealthWatch
from scheduler.alerting.channel_testing import ChannelTestSender, DailyTests
from scheduler.alerting.delivery.delivery import OutboxDelivery
from scheduler.alerting.engine_runner import EngineRunner, IncidentChanges
from scheduler.alerting.evaluation.evaluator import AlertEvaluator
from scheduler.alerting.facts import DefinedFactsSource
from scheduler.alerting.rotas import RotaReader
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.alerting.suppressions import StoredSuppressions

_log = logging.getLogger("scheduler.alerting")

TICK_INTERVAL = 1.0
DAILY_TESTS_INTERVAL = 5.0
"""Seconds."""


@dataclass(slots=True)
class Notified:
    """The channels for which passes have stored notifications. `wake`: delivers them at once, if the host can."""

    channels: set[str] = field(default_factory=set)
    delivery: OutboxDelivery | None = None

    def add(self, channels: Collection[str]) -> None:
        if self.delivery is not None:
            self.delivery.wake(channels)
        else:
            self.channels |= set(channels)


@dataclass(frozen=True, slots=True)
class Alerting:
    """All parts of alerting in one process, and its periodic work."""

    evaluator: AlertEvaluator
    runner: EngineRunner
    changes: IncidentChanges
    incidents: IncidentLog
    delivery: OutboxDelivery
    channel_tester: ChannelTestSender
    daily_tests: DailyTests
    facts: DefinedFactsSource
    rotas: RotaReader
    silences: StoredSuppressions[Silence]
    windows: StoredSuppressions[RequestedWindow]
    notified: Notified
    clock: Clock
    age_s: float
    """Seconds after its end for which an incident is stored."""
    azure_health: AzureHealthWatch | None = None

    async def tick(self) -> None:
        """Judge what changes without a run, and run a pass if one is due. Raises nothing of the store."""
        await self.evaluator.tick()
        await self.runner.tick()

    async def run(self) -> None:
        """Tick each second, and deliver, until cancelled."""
        self.notified.delivery = self.delivery
        self.delivery.start()
        while True:
            await self.tick()
            await self.clock.sleep(TICK_INTERVAL)

    async def run_daily_tests(self) -> None:
        """Send the daily tests of channels, until cancelled: a channel that hangs delays no tick."""
        while True:
            await self.daily_tests.tick()
            await self.clock.sleep(DAILY_TESTS_INTERVAL)

    async def run_once(self, limit: timedelta, *, is_tick: bool) -> None:
        """Run what is due, and deliver for at most `limit`. With `is_tick` also what other processes have left."""
        if is_tick:
            await self.evaluator.tick()
        await self.runner.tick()
        if is_tick or self.notified.channels:
            self.notified.channels.clear()
            await self.delivery.run_once(limit)
        if is_tick:
            await self.daily_tests.tick()
            if self.azure_health is not None:
                await self.azure_health.tick()

    async def prune(self, now: datetime) -> None:
        """Delete old incidents, and move ended silences and windows. Raises StoreError."""
        deleted = await self.incidents.prune(now, self.age_s)
        if deleted:
            _log.info("deleted %d old incidents", deleted)
        for stored in (self.silences, self.windows):
            await stored.archive_ended(now)
            await stored.prune(now, self.age_s)

    async def aclose(self) -> None:
        """Finish a pass and the messages that are being sent; what is left is delivered after the next start."""
        await self.runner.aclose()
        await self.delivery.aclose()
