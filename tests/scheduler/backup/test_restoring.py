"""What is restored is what was backed up; an interruption, another store or a filled one does no harm."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scheduler.features.backup.dump_file import DumpHeader, DumpTrailer, encode_fields, encode_row, open_dump_file
from scheduler.features.backup.port import DumpDamaged, NoProgress, RestoreDiffers, TargetNotEmpty
from scheduler.features.backup.restoring import REPLANNED_SPAN, RestoreResult, adapt_rows, copy_store, restore_dump
from scheduler.features.backup.tables import TableDigest
from scheduler.features.backup.targets import FileTarget, TableTarget
from scheduler.identity.api_keys import ApiKey
from scheduler.identity.principal import Role
from scheduler.stores.identity import ApiKeys
from scheduler.stores.port import Change, Etags, Row, StoreError, StoreUnavailable, Upsert
from scheduler.stores.rows import find_unfinished_restore
from scheduler.stores.schedules import PLANNED_UNTIL_CURSOR, STRANDED_CURSOR, decode_instant, encode_instant
from scheduler.stores.sqlite.file_lock import FileLock
from scheduler.stores.sqlite.store import open_sqlite
from scheduler.stores.sqlite.whole_file import open_snapshot
from tests.scheduler.backup.stores import NOW, ROWS, MemoryScan, back_up, fill, filled_file, rows_of
from tests.scheduler.stores.memory import MemoryData, MemoryStore

STORED = {table: sorted(rows) for table, rows in ROWS.items() if table != "sessions"}


@pytest.fixture
async def dump(tmp_path: Path) -> Path:
    return await back_up(await filled_file(tmp_path / "store.db"), tmp_path / "dump.jsonl.gz")


async def restore(dump: Path, path: Path, *, replace: bool = False) -> RestoreResult:
    target = FileTarget(path, NOW)
    try:
        return await restore_dump(dump, target, NOW, replace=replace, progress=NoProgress())
    finally:
        await target.aclose()


def table_target(data: MemoryData, store: MemoryStore | None = None) -> TableTarget:
    return TableTarget(store or MemoryStore(data), MemoryScan(data), "store memory")


def content_of(data: MemoryData) -> dict[str, list[tuple[str, str, str]]]:
    found: dict[str, list[tuple[str, str, str]]] = {}
    for (table, partition, key), row in sorted(data.rows.items()):
        found.setdefault(table, []).append((partition, key, row.body))
    return found


async def test_a_file_is_restored_row_by_row(tmp_path: Path, dump: Path) -> None:
    restored = tmp_path / "new" / "restored.db"
    rows, former, *_ = await restore(dump, restored)
    assert (rows, former) == (2508, "")
    assert await rows_of(restored) == STORED
    assert {path.name for path in restored.parent.iterdir()} == {"restored.db", "restored.db.lock"}
    await (await open_sqlite(restored)).aclose()


async def test_a_filled_file_is_refused_and_replaced_only_on_request(tmp_path: Path, dump: Path) -> None:
    path = tmp_path / "other.db"
    store = await open_sqlite(path)
    await store.apply(Upsert("pauses", "jobs", "another", "{}"))
    await store.aclose()

    with pytest.raises(TargetNotEmpty, match=r"other.db has rows already \(pauses\): .* add --replace"):
        await restore(dump, path)
    assert await rows_of(path) == {"pauses": [("jobs", "another", "{}")]}

    rows, former, *_ = await restore(dump, path, replace=True)
    assert (rows, former) == (2508, f"the former file is {path}.before-20261125T120000Z")
    assert await rows_of(path) == STORED
    assert await rows_of(Path(former.removeprefix("the former file is "))) == {"pauses": [("jobs", "another", "{}")]}


async def test_a_file_without_rows_is_no_obstacle(tmp_path: Path, dump: Path) -> None:
    path = tmp_path / "other.db"
    store = await open_sqlite(path)
    await store.ping()
    await store.aclose()
    assert (await restore(dump, path))[0] == 2508
    assert await rows_of(path) == STORED


async def test_a_running_scheduler_is_not_disturbed(tmp_path: Path, dump: Path) -> None:
    path = tmp_path / "running.db"
    lock = FileLock(path)
    assert lock.acquire(0.0)
    with pytest.raises(StoreUnavailable, match=rf"is in use by a scheduler \(process {os.getpid()}\): stop that one"):
        await restore(dump, path, replace=True)
    lock.release()
    assert not path.exists()


async def test_a_damaged_backup_changes_nothing(tmp_path: Path, dump: Path) -> None:
    path = await filled_file(tmp_path / "other.db")
    before = path.read_bytes()
    os.truncate(dump, 1000)
    with pytest.raises(DumpDamaged, match="cut off"):
        await restore(dump, path, replace=True)
    assert path.read_bytes() == before


async def test_an_interrupted_restore_into_tables_continues_and_is_refused_until_then(dump: Path) -> None:
    data = MemoryData()
    with pytest.raises(StoreUnavailable):
        # The marker, two pages of history without the rest, and the end of the process.
        await restore_dump(
            dump, table_target(data, MemoryStore(data, breaks_after=15)), NOW, replace=False, progress=NoProgress()
        )
    unfinished = await find_unfinished_restore(MemoryStore(data))
    assert unfinished is not None
    assert "has only a part of a backup" in str(unfinished)

    rows, *_ = await restore_dump(dump, table_target(data), NOW, replace=False, progress=NoProgress())
    assert rows == 2508
    assert content_of(data) == STORED
    assert await find_unfinished_restore(MemoryStore(data)) is None


async def test_a_part_of_another_backup_is_refused_and_replaced_only_on_request(tmp_path: Path, dump: Path) -> None:
    data = MemoryData()
    with pytest.raises(StoreUnavailable):
        await restore_dump(
            dump, table_target(data, MemoryStore(data, breaks_after=15)), NOW, replace=False, progress=NoProgress()
        )
    small = await open_sqlite(tmp_path / "small.db")
    await small.apply(Upsert("pauses", "jobs", "another", "{}"))
    await small.aclose()
    other = await back_up(tmp_path / "small.db", tmp_path / "other.jsonl")

    with pytest.raises(TargetNotEmpty, match="has a part of another backup"):
        await restore_dump(other, table_target(data), NOW, replace=False, progress=NoProgress())
    await restore_dump(other, table_target(data), NOW, replace=True, progress=NoProgress())
    assert content_of(data) == {"pauses": [("jobs", "another", "{}")]}


async def test_replacing_deletes_what_a_backup_does_not_contain(dump: Path) -> None:
    data = MemoryData()
    await fill(MemoryStore(data), {"sessions": [("sessions", "old", "{}")], "slots": [("group", "0000", "{}")]})
    await fill(MemoryStore(data), {"pauses": [("jobs", "another", "{}")]})
    await restore_dump(dump, table_target(data), NOW, replace=True, progress=NoProgress())
    assert content_of(data) == STORED


class OtherWriter(MemoryStore):
    """Somebody else changes a row that was just restored."""

    async def apply_each(self, groups: Sequence[Sequence[Change]]) -> Sequence[Etags | StoreError]:
        results = await super().apply_each(groups)
        await self.apply(Upsert("pauses", "jobs", "checkout-api", "{}"))
        return results


async def test_rows_that_differ_afterwards_are_found(dump: Path) -> None:
    data = MemoryData()
    with pytest.raises(RestoreDiffers, match=r"store memory does not have .*: pauses: 1 row, some of which differ"):
        await restore_dump(dump, table_target(data, OtherWriter(data)), NOW, replace=False, progress=NoProgress())
    assert await find_unfinished_restore(MemoryStore(data)) is not None, "the program must not start with it"


async def test_a_store_is_copied_without_a_file(tmp_path: Path) -> None:
    path, data = await filled_file(tmp_path / "store.db"), MemoryData()
    scan = await open_snapshot(path)
    rows, *_ = await copy_store(scan, table_target(data), NOW, replace=False, progress=NoProgress())
    await scan.aclose()
    assert rows == 2508
    assert content_of(data) == STORED


def test_after_a_backup_without_a_snapshot_the_last_minutes_are_planned_again() -> None:
    ahead = NOW + timedelta(seconds=75)
    rows = [
        Row(PLANNED_UNTIL_CURSOR, "instant", encode_instant(ahead), ""),
        Row("pruned-at", "instant", encode_instant(ahead), ""),
        Row(STRANDED_CURSOR, "instant", encode_instant(NOW), ""),
    ]
    adapted = {row.partition: decode_instant(row.body) for row in adapt_rows("cursors", rows, NOW)}
    assert adapted == {PLANNED_UNTIL_CURSOR: NOW - REPLANNED_SPAN, "pruned-at": ahead}


def test_a_cursor_that_is_further_behind_stays_there() -> None:
    behind = NOW - timedelta(hours=5)
    (row,) = adapt_rows("cursors", [Row(PLANNED_UNTIL_CURSOR, "instant", encode_instant(behind), "")], NOW)
    assert decode_instant(row.body) == behind


async def test_rows_of_a_table_of_a_newer_version_are_skipped_and_named(tmp_path: Path) -> None:
    header = DumpHeader("9.1", NOW, "sqlite", True, schema=9, reader_schema=2)
    tables = {"pauses": TableDigest(), "of_a_newer_version": TableDigest()}
    path = tmp_path / "dump.jsonl"
    with open_dump_file(path) as file:
        file.write(encode_fields(header.to_fields()))
        for table, digest in tables.items():
            row = Row("jobs", "checkout-api", "{}", "")
            digest.add([row])
            file.write(encode_row(table, row))
        file.write(encode_fields(DumpTrailer(NOW, tables, file.sha256).to_fields()))

    result = await restore(path, tmp_path / "restored.db")

    assert result == (1, "", ["of_a_newer_version"], [])
    assert await rows_of(tmp_path / "restored.db") == {"pauses": [("jobs", "checkout-api", "{}")]}


async def test_the_keys_that_become_valid_are_named_and_those_that_do_not_are_not(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "keys.db")
    keys = ApiKeys(store)
    key = ApiKey("k000000001", "deploy", Role.ADMIN, "0f" * 32, NOW, "command:ada")
    revoked = replace(key, id="k000000002", name="old", revoked_at=NOW)
    ended = replace(key, id="k000000003", name="ended", expires_at=NOW)
    for each in (key, revoked, ended):
        await keys.insert(each)
    await keys.record_use(key.id, NOW)
    await store.apply(Upsert("api_keys", "keys", "damaged", '{"name":7}'))
    await store.aclose()
    dump = await back_up(tmp_path / "keys.db", tmp_path / "keys.jsonl")

    assert (await restore(dump, tmp_path / "restored.db")).keys == [key]
