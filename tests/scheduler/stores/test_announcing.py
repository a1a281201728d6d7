"""scheduler/changes/announcing.py: what is announced, once for all processes of a store."""

from __future__ import annotations

from config.job_files.reader import JobSet
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.catalog.composition import JobComposer
from scheduler.changes.announcing import ChangeAnnouncer
from scheduler.stores.findings import Announcements
from scheduler.stores.markers import MARKERS_TABLE, DeploymentMarkers
from scheduler.stores.port import Change, Etags, Row, Store, StoreUnavailable
from tests.scheduler.fakes import START, VirtualClock, compose, entry
from tests.scheduler.stores.memory import MemoryData, MemoryStore

Heard = list[tuple[object, ...]]


class HeardOfChanges:
    def __init__(self, heard: Heard) -> None:
        self._heard = heard

    def deployed(self, previous: str) -> None:
        self._heard.append(("deployed", previous))

    def job_set_changed(self, digest: str, stored_version: int, jobs: int, counts: tuple[int, int, int] | None) -> None:
        self._heard.append(("jobs", digest, stored_version, jobs, counts))


class Process:
    """One of several processes that share a store."""

    def __init__(self, store: Store, heard: Heard, *names: str, version: str = "1") -> None:
        catalog = Catalog(JobSnapshot([entry(name) for name in names], START, "-".join(names)))
        clock = VirtualClock()
        self.composer: JobComposer = compose(catalog, clock)
        self.markers = DeploymentMarkers(store)
        self.announcer = ChangeAnnouncer(
            Announcements(store), self.markers, self.composer, HeardOfChanges(heard), clock, version
        )

    async def load(self, *names: str) -> None:
        jobs = {name: entry(name).job for name in names}
        await self.composer.replace_files(JobSet(jobs, dict.fromkeys(jobs, "jobs.yaml:1"), digest="-".join(names)))


async def test_the_first_start_announces_the_version_and_not_its_jobs() -> None:
    heard: Heard = []
    process = Process(MemoryStore(), heard, "a")
    await process.announcer.tick()
    await process.announcer.tick()
    assert heard == [("deployed", "")]


async def test_of_several_processes_one_announces_a_version_and_other_jobs() -> None:
    heard, data = Heard(), MemoryData()
    await Process(MemoryStore(data), heard, "a").announcer.tick()
    heard.clear()
    processes = [Process(MemoryStore(data), heard, "a", version="2") for _ in range(3)]
    for process in processes:
        await process.announcer.tick()
    assert heard == [("deployed", "1")]
    heard.clear()
    for process in processes:
        await process.load("b", "c")
        await process.announcer.tick()
    assert heard == [("jobs", "b-c", 0, 2, (2, 0, 1))]


async def test_jobs_that_changed_while_no_process_ran_are_announced_without_counts() -> None:
    heard, data = Heard(), MemoryData()
    await Process(MemoryStore(data), heard, "a").announcer.tick()
    heard.clear()
    await Process(MemoryStore(data), heard, "a", "b").announcer.tick()
    assert heard == [("jobs", "a-b", 0, 2, None)]


async def test_a_process_that_reads_stored_jobs_late_announces_nothing() -> None:
    store = Announcements(MemoryStore())
    assert await store.replace("job-set", "first", 5) == ""
    assert await store.replace("job-set", "second", 7) == "first"
    assert await store.replace("job-set", "between", 6) is None
    assert await store.replace("job-set", "files too", 7) == "second"


class StoreThatBreaks(MemoryStore):
    is_broken = True

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        if self.is_broken:
            raise StoreUnavailable("the store is away")
        return await super().get_row(table, partition, key)


async def test_after_a_failure_of_the_store_the_next_tick_announces_it() -> None:
    heard, data = Heard(), MemoryData()
    await Process(MemoryStore(data), heard, "a").announcer.tick()
    store = StoreThatBreaks(data)
    process = Process(store, heard, "a", version="2")
    await process.load("a", "b")
    await process.announcer.tick()
    assert heard == [("deployed", "")]
    store.is_broken = False
    await process.announcer.tick()
    assert heard[1:] == [("deployed", "1"), ("jobs", "a-b", 0, 2, (1, 0, 0))]


async def test_each_new_version_is_marked_once_with_the_version_that_it_replaces() -> None:
    data = MemoryData()
    for version in ("1", "1", "2", "1"):
        process = Process(MemoryStore(data), [], "a", version=version)
        await process.announcer.tick()
        await process.announcer.tick()
    markers = await process.markers.list_page(limit=10)
    assert sorted(each.text for each in markers) == [
        "version 1 of the scheduler",
        "version 1 of the scheduler replaced 2",
        "version 2 of the scheduler replaced 1",
    ]
    assert {(each.at, each.author) for each in markers} == {(START, "program:scheduler")}


class StoreWithoutMarkers(MemoryStore):
    is_broken = True

    async def apply(self, *changes: Change) -> Etags:
        if self.is_broken and any(each.table == MARKERS_TABLE for each in changes):
            raise StoreUnavailable("the store is away")
        return await super().apply(*changes)


async def test_a_marker_that_could_not_be_stored_is_stored_by_the_next_tick() -> None:
    store = StoreWithoutMarkers()
    process = Process(store, [], "a")
    await process.announcer.tick()
    assert await process.markers.list_page(limit=10) == []
    store.is_broken = False
    await process.announcer.tick()
    assert [each.text for each in await process.markers.list_page(limit=10)] == ["version 1 of the scheduler"]
