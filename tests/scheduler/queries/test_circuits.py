"""The jobs of circuits are found once for each set of jobs."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.features.circuits.queries import CircuitQueries
from scheduler.stores.gates import StoredCircuits
from tests.scheduler.fakes import VirtualClock, entry
from tests.scheduler.stores.memory import MemoryStore

CIRCUIT = {"consecutive_failures": 3}


class WatchedSnapshot(JobSnapshot):
    """Counts how often all jobs are visited."""

    visits = 0

    def __iter__(self) -> Iterator[CatalogJob]:
        self.visits += 1
        return super().__iter__()


async def test_the_jobs_of_circuits_are_found_again_only_after_the_jobs_have_changed() -> None:
    jobs = WatchedSnapshot([entry("checkout", circuit=CIRCUIT), entry("search", circuit=CIRCUIT), entry("other")])
    catalog = Catalog(jobs)
    circuits = CircuitQueries(catalog, StoredCircuits(MemoryStore()), VirtualClock())
    before = jobs.visits
    for _ in range(5):
        assert set(await circuits.circuits_of_jobs(["checkout", "other"])) == {"checkout"}
        assert circuits.circuit_keys() == ["checkout", "search"]
    assert jobs.visits == before + 1
    catalog.replace(JobSnapshot([entry("basket", circuit=CIRCUIT)]))
    assert circuits.circuit_keys() == ["basket"]
