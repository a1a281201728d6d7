"""Passes of the engine over a store, in the virtual time of a world."""

from __future__ import annotations

from jobs.alerting.alert import Alert
from jobs.incidents.engine.passing import PassResult, run_pass
from jobs.incidents.values import AlertKey
from scheduler.stores.alerting.engine import AlertRows, EngineRows
from scheduler.stores.port import Store
from tests.jobs.incidents.world import RULE, World


class StoredPasses:
    """Writes the alerts of a world, and runs passes over what is stored."""

    def __init__(self, store: Store, world: World) -> None:
        self.rows = EngineRows(store)
        self.alerts = AlertRows(store)
        self.world = world

    async def write_alerts(self, *subjects: str) -> None:
        for subject in subjects:
            key = AlertKey(subject, RULE)
            stored = await self.alerts.read(key)
            await self.alerts.write(self.world.alerts.get(key, Alert(subject, RULE)), stored.etag)

    async def run(self) -> PassResult:
        state = await self.rows.read()
        result = run_pass(state.open, [each.alert for each in state.alerts], self.world, resolved=state.resolved)
        settled = [each for each in state.alerts if each.key in result.settled]
        await self.rows.write(state.head, self.world.now, result.steps, settled)
        return result
