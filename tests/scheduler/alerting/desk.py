"""Incidents in a SQLite store, and the operations and queries of callers on them, in virtual time.

async with open_desk(tmp_path) as desk:
    incident = await desk.fail("router", "checkout", "search")   # one incident, led by the first
    await desk.manager().acknowledge(incident.id, caller=API_CALLER)
    await desk.queries(WEB).find(incident.id)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from jobs.alerting.groups import AlertGroup
from jobs.definition.alerting_section import AlertingDefinitions, DefinedEntry, define_alerting
from jobs.incidents.suppression.windows import MaintenanceWindow
from jobs.incidents.values import Incident
from scheduler.alerting.engine_runner import EngineRunner, IncidentChanges
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.catalog.limited import LimitedCatalog
from scheduler.features.alerts.queries import AlertQueries
from scheduler.features.incidents.queries import IncidentQueries
from scheduler.features.incidents.service import IncidentManager
from scheduler.identity.principal import Caller, ChangeSource, Principal, PrincipalKind, Role
from scheduler.stores.port import Store
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite.store import open_sqlite
from tests.jobs.incidents.world import MINUTE, World
from tests.scheduler.alerting.engine_world import WorldFacts
from tests.scheduler.audit.memory_trail import MemoryAuditTrail
from tests.scheduler.fakes import VirtualClock, entry
from tests.scheduler.stores.alerting.passes import StoredPasses

WEB = Principal(PrincipalKind.API_KEY, "web", Role.OPERATOR, (("team", "web"),))
WEB_CALLER = Caller(WEB, ChangeSource.API)
PARENTS = {"checkout": ["router"], "search": ["router"]}


def define_parts() -> AlertingDefinitions:
    """A group of two jobs, and a window of each team."""
    group = AlertGroup.model_validate({"jobs": {"jobs": "se*"}, "tags": {"team": "web"}})
    windows = [
        MaintenanceWindow.model_validate(
            {
                "name": f"patch-{team}",
                "weekly": {"from": "SUN 10:00", "to": "SUN 14:00"},
                "select": {"tags": {"team": team}},
            }
        )
        for team in ("web", "payments")
    ]
    return define_alerting(
        {
            "groups": (DefinedEntry("frontend", group, "jobs.yaml:9"),),
            "windows": tuple(DefinedEntry("", each, f"jobs.yaml:{20 + at}") for at, each in enumerate(windows)),
        }
    )


class IncidentDesk:
    """`world`: what happens. Its clock is that of the operations."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.stored = Repositories(store)
        self.world = World(parents=PARENTS)
        self.passes = StoredPasses(store, self.world)
        self.clock = VirtualClock(self.world.now)
        self.audit = MemoryAuditTrail()
        self.runs = Runs(store)
        tags = {"router": "infra", "checkout": "payments", "search": "web", "seo": "web"}
        jobs = [entry(name, tags={"team": team}) for name, team in tags.items()]
        self.snapshot = JobSnapshot(jobs, alerting=define_parts())
        self.woken: list[str] = []
        self.changes = self.open_changes(store)

    def open_changes(self, store: Store) -> IncidentChanges:
        """Return the changes of another process, which has opened the same store."""
        rows = Repositories(store)
        runner = EngineRunner(
            rows.engine_rows,
            WorldFacts(self.world),
            self.clock,
            on_notifications=lambda found: self.woken.extend(found),
        )
        return IncidentChanges(rows.engine_rows, rows.incident_log, runner, self.clock)

    def catalog(self, principal: Principal | None = None) -> Catalog:
        return Catalog(self.snapshot) if principal is None else LimitedCatalog(self.snapshot, principal)

    def manager(self, principal: Principal | None = None, changes: IncidentChanges | None = None) -> IncidentManager:
        log = self.stored.incident_log
        return IncidentManager(self.catalog(principal), log, changes or self.changes, self.clock, self.audit)

    def queries(self, principal: Principal | None = None) -> IncidentQueries:
        return IncidentQueries(self.catalog(principal), self.stored.incident_log, self.runs, self.clock)

    def alerts(self, principal: Principal | None = None) -> AlertQueries:
        return AlertQueries(self.catalog(principal), self.stored.alert_rows)

    async def fail(self, *subjects: str) -> Incident:
        """Let subjects fail, one after the other, and return the newest incident."""
        for subject in subjects:
            self.world.fail(subject)
            self.world.checked = dict.fromkeys((*PARENTS, *self.world.checked, "router"), self.world.now)
            await self.passes.write_alerts(subject)
            await self._pass()
        return (await self.stored.incident_log.list_page(limit=1)).incidents[0]

    async def recover(self, *subjects: str) -> None:
        self.world.recover(*subjects)
        await self.passes.write_alerts(*subjects)
        await self._pass()
        self.move(1200)

    async def _pass(self) -> None:
        self.move(MINUTE.total_seconds())
        await self.passes.run()

    def move(self, seconds: float) -> None:
        self.clock.move(seconds)
        self.world.now = self.clock.now()


@asynccontextmanager
async def open_desk(folder: Path) -> AsyncIterator[IncidentDesk]:
    store = await open_sqlite(folder / "state.db")
    try:
        yield IncidentDesk(store)
    finally:
        await store.aclose()
