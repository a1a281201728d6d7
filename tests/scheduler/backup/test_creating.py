"""A backup is made while the program writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from scheduler.features.backup.dumps import DumpReader, create_backup
from scheduler.features.backup.port import NoProgress
from scheduler.features.backup.tables import find_omitted_tables, read_included_tables
from scheduler.stores.audit import AuditLog
from scheduler.stores.port import Row, Upsert
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from scheduler.stores.sqlite.whole_file import open_snapshot
from scheduler.stores.stored_jobs.repository import StoredJobs
from scheduler.stores.stored_jobs.tree import JobWrite
from tests.scheduler.backup.stores import NOW, MemoryScan, filled_file
from tests.scheduler.stores.memory import MemoryData, MemoryStore


async def test_a_snapshot_does_not_see_what_is_written_meanwhile(tmp_path: Path) -> None:
    path = await filled_file(tmp_path / "store.db")
    store = await open_sqlite(path, StoreAccess.OWN)
    await store.apply(Upsert("audit", "chain", "before", "{}"))
    scan = await open_snapshot(path)
    await store.apply(Upsert("history", "0", "r~job~0000", '{"is":"changed"}'), Upsert("audit", "chain", "after", "{}"))

    header, trailer = await create_backup(scan, tmp_path / "dump.jsonl", "sqlite", lambda: NOW, NoProgress())

    await scan.aclose()
    await store.aclose()
    text = (tmp_path / "dump.jsonl").read_text("utf-8")
    assert header.is_snapshot
    assert trailer.tables["audit"].rows == 1
    assert '"before"' in text
    assert '"after"' not in text
    assert "changed" not in text


class WritingScan(MemoryScan):
    """An app that appends to the audit trail and changes a stored job after each row that is read."""

    def __init__(self, data: MemoryData) -> None:
        super().__init__(data)
        self.log, self.jobs = AuditLog(MemoryStore(data)), StoredJobs(MemoryStore(data))
        self.versions = 0

    async def write(self) -> None:
        self.versions += 1
        await self.log.append({"action": "job.update", "object": f"job {self.versions}", "at": NOW.isoformat()})
        definition = {"check": {"url": f"https://example.com/{self.versions}"}}
        await self.jobs.commit(await self.jobs.read(), [JobWrite("shop", definition)], NOW, "local:test")

    async def read_table(self, table: str) -> AsyncIterator[Sequence[Row]]:
        async for page in super().read_table(table):
            if self.versions < 40:
                await self.write()
            yield page


async def test_rows_that_name_others_name_only_what_the_backup_has() -> None:
    data = MemoryData()
    scan = WritingScan(data)
    for _ in range(5):
        await scan.write()
    restored = MemoryStore()
    async for table, rows in read_included_tables(scan, await scan.count_rows()):
        await restored.apply(*(Upsert(table, row.partition, row.key, row.body) for row in rows))

    assert scan.versions > 10, "it wrote meanwhile"
    head = await AuditLog(restored).read_head()
    entries = [row async for row in AuditLog(restored).stream_rows()]
    assert len(entries) == head.sequence >= 5
    tree = await StoredJobs(restored).read()
    job = tree.find_job("shop")
    assert job is not None
    await AuditLog(restored).append({"action": "x", "at": NOW.isoformat()})


async def test_an_unknown_table_is_left_out_and_named(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db")
    await store.apply(Upsert("of_a_newer_version", "p", "k", "{}"), Upsert("pauses", "jobs", "a", "{}"))
    await store.aclose()
    scan = await open_snapshot(tmp_path / "store.db")
    header, trailer = await create_backup(scan, tmp_path / "dump.jsonl", "sqlite", lambda: NOW, NoProgress())
    assert [*trailer.tables] == ["pauses"]
    assert "a newer one has written it" in header.omitted["of_a_newer_version"]
    assert find_omitted_tables(await scan.count_rows()) == header.omitted
    await scan.aclose()


async def test_an_empty_store_gives_an_empty_backup(tmp_path: Path) -> None:
    await (await open_sqlite(tmp_path / "store.db")).aclose()
    scan = await open_snapshot(tmp_path / "store.db")
    await create_backup(scan, tmp_path / "dump.jsonl", "sqlite", lambda: NOW, NoProgress())
    await scan.aclose()
    reader = DumpReader(tmp_path / "dump.jsonl")
    assert reader.read_page() is None
    reader.close()
