"""Incidents in a SQLite store, delivered by the channels of a job file to servers on loopback, in virtual time.

async with open_desk(tmp_path, {"chat": {...}}, secrets={"key": "value"}) as desk:
    incident = await desk.open()
    await desk.deliver_for(20 * MINUTE)
    await desk.resolve()
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs.checks.guard import LOCAL_GUARD
from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.values import Incident
from jobs.ports import Clock
from scheduler.alerting.delivery.channel_pass import DeliveryTools, deliver_channel
from scheduler.alerting.delivery.channel_resources import GuardedChannelResources
from scheduler.alerting.delivery.delivery import SenderDirectory
from scheduler.alerting.delivery.rendering import StoredIncidentRenderer
from scheduler.alerting.message_source import DefinitionMessageSource
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.stores.port import Store
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite.store import open_sqlite
from tests.jobs.incidents.world import SECOND, START, World
from tests.parts.notifications import make_channel
from tests.scheduler.alerting.delivery.test_channel_resources import FakeSecrets
from tests.scheduler.fakes import VirtualClock, entry
from tests.scheduler.stores.alerting.passes import StoredPasses

CHANNEL = "chat"


class ChannelDesk:
    """`clock`: virtual, so that a server that never answers costs an attempt little real time, or another one."""

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, Mapping[str, Any]],
        secrets: Mapping[str, str],
        *,
        clock: Clock | None = None,
        owner: str = "one",
        is_only_worker: bool = False,
        timeout: float = 10.0,
    ) -> None:
        made = {name: make_channel(**one) for name, one in channels.items()}
        models = tuple(DefinedEntry(name, _limit(one, timeout) if clock is None else one) for name, one in made.items())
        self.catalog = Catalog(JobSnapshot([entry()], alerting=define_alerting({"channels": models})))
        self.store = store
        self.stored = Repositories(store)
        self.world = World()
        self.world.channels = (CHANNEL,)
        self.passes = StoredPasses(store, self.world)
        self.clock = VirtualClock(START)
        values = FakeSecrets(**secrets)
        self.resources = GuardedChannelResources(values, values, LOCAL_GUARD)
        stored = self.stored
        parts = stored.audit_log, stored.incident_log, stored.health_histories
        source = DefinitionMessageSource(self.catalog, Runs(store), *parts)
        self.tools = DeliveryTools(
            self.stored.outbox_rows,
            SenderDirectory(lambda: self.catalog.snapshot.alerting.channels, self.resources),
            StoredIncidentRenderer(self.stored.incident_log, source),
            clock or self.clock,
            owner,
            jitter=lambda: 0.0,
            is_only_worker=is_only_worker,
        )

    async def open(self) -> Incident:
        self.world.fail("checkout")
        return await self._change()

    async def resolve(self) -> Incident:
        self.world.recover("checkout")
        return await self._change()

    async def _change(self) -> Incident:
        self.world.now = self.clock.now()
        await self.passes.write_alerts("checkout")
        self.clock.move(10)
        self.world.now = self.clock.now()
        (step,) = (await self.passes.run()).steps
        return step.incident

    async def deliver_for(self, time: timedelta = 5 * SECOND) -> None:
        """Deliver what is due in this time, at each instant at which something is due."""
        until = self.clock.now() + time
        while True:
            names = await self.tools.store.list_channels()
            dues = [await deliver_channel(self.tools, name) for name in names]
            # A message that moved to another channel is due there now.
            more = set(await self.tools.store.list_channels()) - set(names)
            later = [due for due in dues if due is not None and due <= until]
            if not later and not more:
                break
            if not more:
                self.clock.move(max(0.0, (min(later) - self.clock.now()).total_seconds()))
        self.clock.move((until - self.clock.now()).total_seconds())

    async def codes(self, incident: Incident) -> list[str]:
        page = await self.stored.incident_log.list_decisions(incident.id, limit=200)
        return [each.code for each in page.entries]


def _limit(model: Any, timeout: float) -> Any:
    """A server that never answers costs each attempt this many seconds; one on a busy machine needs some."""
    return model.model_copy(update={"timeout": timeout})


@asynccontextmanager
async def open_desk(
    folder: Path, channels: Mapping[str, Mapping[str, Any]], secrets: Mapping[str, str], *, limit: float
) -> AsyncIterator[ChannelDesk]:
    store = await open_sqlite(folder / "desk.db")
    desk = ChannelDesk(store, channels, secrets, timeout=limit)
    try:
        yield desk
    finally:
        await desk.resources.close()
        await store.aclose()
