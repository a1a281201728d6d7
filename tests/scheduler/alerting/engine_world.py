"""Processes that evaluate alerts, run passes and deliver, over one memory store in virtual time."""

from __future__ import annotations

import asyncio
import copy
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from jobs.alerting.alert import AlertStatus, Verdict, advance
from jobs.incidents.engine.facts import AlertFacts
from jobs.incidents.values import AlertKey, Incident, Transition
from scheduler.alerting.engine_runner import EngineRunner
from scheduler.stores.alerting.engine import AlertRows, EngineRows, EngineState
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.alerting.rows import ALERTING_PARTITION, ALERTING_TABLE, NOTIFICATIONS, OUTBOX_PREFIX
from scheduler.stores.port import Change, Delete, Etags, Row, RowChanged, RowExists
from scheduler.stores.rows import end_of
from tests.jobs.incidents.world import MINUTE, RULE, START, World
from tests.scheduler.fakes import VirtualClock
from tests.scheduler.stores.memory import MemoryData, MemoryStore


class InterleavedStore(MemoryStore):
    """Others run before each request, as with a real store."""

    async def apply(self, *changes: Change) -> Etags:
        await asyncio.sleep(0)
        return await super().apply(*changes)

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        await asyncio.sleep(0)
        return await super().get_row(table, partition, key)

    async def list_rows(
        self, table: str, partition: str, *, after: str = "", until: str = "", limit: int, bodies: bool = True
    ) -> Sequence[Row]:
        await asyncio.sleep(0)
        return await super().list_rows(table, partition, after=after, until=until, limit=limit, bodies=bodies)


class WorldFacts:
    """Implements FactsSource by a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def read_facts(self, now: datetime, state: EngineState) -> AlertFacts:
        facts = copy.copy(self._world)
        facts.now = now
        return facts


class EngineWorld:
    def __init__(self, world: World, processes: int = 2) -> None:
        self.world = world
        self.data = MemoryData()
        self.clock = VirtualClock(START)
        self.runners = [self.start() for _ in range(processes)]
        self.sent: defaultdict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)

    def start(self, breaks_after: int | None = None) -> EngineRunner:
        """Start a process whose store breaks after so many writes."""
        rows = EngineRows(InterleavedStore(self.data, breaks_after=breaks_after))
        return EngineRunner(rows, WorldFacts(self.world), self.clock)

    async def judge(self, subject: str, is_met: bool, delay: int = 0) -> None:
        """Record a verdict as evaluators do. `delay`: requests of others that come before."""
        for _ in range(delay):
            await asyncio.sleep(0)
        alerts, key = AlertRows(InterleavedStore(self.data)), AlertKey(subject, RULE)
        self.world.checked[subject] = self.clock.now()
        verdict = Verdict(is_met, "3 of 3 runs failed", self.clock.now() - MINUTE)
        while True:
            stored = await alerts.read(key)
            changed = advance(stored.alert, verdict, self.clock.now())
            if changed is stored.alert or changed == stored.alert:
                return
            try:
                await alerts.write(changed, stored.etag)
                return
            except (RowExists, RowChanged):
                continue

    async def wait(self, time: timedelta, step: float = 5.0) -> None:
        until = self.clock.now() + time
        while self.clock.now() < until:
            self.clock.move(step)
            for runner in self.runners:
                await runner.tick()

    async def deliver(self) -> None:
        """Deliver the outbox: a notification that is stored again is delivered again."""
        store = MemoryStore(self.data)
        place = (ALERTING_TABLE, ALERTING_PARTITION)
        for row in await store.list_rows(*place, after=OUTBOX_PREFIX, until=end_of(OUTBOX_PREFIX), limit=1000):
            sent = NOTIFICATIONS.decode(row.body)
            self.sent[sent.incident, sent.channel].append((sent.number, str(sent.kind)))
            await store.apply(Delete(*place, row.key))

    async def firing(self) -> list[AlertKey]:
        alerts = await AlertRows(MemoryStore(self.data)).list_all()
        return [each.key for each in alerts if each.alert.status is AlertStatus.FIRING]

    async def incidents(self) -> list[Incident]:
        return list((await IncidentLog(MemoryStore(self.data)).list_page(limit=1000)).incidents)

    async def transitions(self, incident: Incident) -> list[Transition]:
        return list((await IncidentLog(MemoryStore(self.data)).list_transitions(incident.id, limit=1000)).entries)
