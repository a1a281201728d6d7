"""Which entries of the audit trail mark the charts of a job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from jobs.redaction import Redactor
from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.audit.trail import AuditedChange
from scheduler.catalog.catalog import Catalog
from scheduler.features.audit.queries import AuditQueries
from scheduler.features.changes.job_markers import JobMarkerReader
from scheduler.features.changes.markers import DeploymentMarkerQueries
from scheduler.identity.principal import Caller, ChangeSource, Principal, PrincipalKind, Role
from scheduler.stores.audit import AuditLog
from scheduler.stores.markers import DeploymentMarker, DeploymentMarkers
from tests.scheduler.fakes import START, VirtualClock, entry
from tests.scheduler.stores.memory import MemoryStore

ADMIN = Principal(PrincipalKind.API_KEY, "ci", Role.ADMIN)
HOUR = timedelta(hours=1)


class Trail:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        store = MemoryStore()
        log, catalog = AuditLog(store), Catalog([entry("pay", tags={"team": "payments"})])
        self.markers = DeploymentMarkers(store)
        self.trail = StoredAuditTrail(log, self.clock, Redactor())
        self.queries = AuditQueries(catalog, log)
        self.reader = JobMarkerReader(self.queries, DeploymentMarkerQueries(catalog, self.markers))

    async def change(self, action: str, job: str = "pay", **after: Any) -> None:
        caller = Caller(ADMIN, ChangeSource.API)
        await self.trail.record(caller, AuditedChange(action, job, f"{action} of {job}", (job,), after=after or None))

    async def kinds(self) -> list[tuple[str, str]]:
        found = await self.reader.list_markers(ADMIN, "pay", START - HOUR, START + HOUR)
        return [(marker.kind, marker.text) for marker in found]


async def test_changes_of_the_job_are_marked_in_their_order() -> None:
    trail = Trail()
    for action in ("job.patch", "job.run", "job.pause", "circuit.open"):
        await trail.change(action)
        trail.clock.move(60)
    await trail.change("job.patch", "ship")
    assert await trail.kinds() == [
        ("definition", "job.patch of pay"),
        ("pause", "job.pause of pay"),
        ("circuit", "circuit.open of pay"),
    ]


async def test_a_window_with_the_number_of_a_change_is_a_deployment() -> None:
    trail = Trail()
    await trail.change("window.create", change_id="CHG7")
    assert await trail.kinds() == [("deployment", "window.create of pay (CHG7)")]


async def test_the_trail_is_read_again_when_it_has_grown() -> None:
    trail, reads = Trail(), 0
    await trail.change("job.patch")
    read = trail.queries.list_views

    async def count(*given: Any, **more: Any) -> Any:
        nonlocal reads
        reads += 1
        return await read(*given, **more)

    trail.queries.list_views = count  # type: ignore[method-assign]
    for _ in range(3):
        assert len(await trail.kinds()) == 1
    await trail.change("job.resume")
    assert len(await trail.kinds()) == 2
    assert reads == 2


async def test_what_is_outside_of_the_period_is_not_marked() -> None:
    trail = Trail()
    await trail.change("job.patch")
    trail.clock.move(7200)
    await trail.change("job.patch")
    assert len(await trail.kinds()) == 1


async def test_deployments_that_concern_the_job_are_marked_between_its_changes() -> None:
    trail = Trail()
    await trail.change("job.patch")
    trail.clock.move(120)
    await trail.change("job.pause")
    for number, tags in enumerate(((), (("team", "payments"),), (("team", "search"),))):
        at = START + timedelta(seconds=60 + number)
        await trail.markers.put(DeploymentMarker(f"{number:013}-a", at, f"deployment {number}", tags, "api_key:ci"))
    assert await trail.kinds() == [
        ("definition", "job.patch of pay"),
        ("deployment", "deployment 0"),
        ("deployment", "deployment 1"),
        ("pause", "job.pause of pay"),
    ]
