"""Upgrades of the store of each released version, and the way back: the old program uses the upgraded store.

The old program is the released code itself: tests/data/releases/README.md.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import lzma
import os
import re
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.runs import Outcome, Run, Ticket
from scheduler.features.backup.port import NoProgress
from scheduler.features.backup.restoring import restore_dump
from scheduler.features.backup.tables import STORED_TABLES
from scheduler.features.backup.targets import TableTarget
from scheduler.stores.azure.opening import open_azure_tables, open_scan
from scheduler.stores.azure.store import AzureTablesStore
from scheduler.stores.backend import BackendOptions
from scheduler.stores.port import Store
from scheduler.stores.repositories import Repositories
from scheduler.stores.rows import READER_SCHEMA, ROW_SCHEMA
from scheduler.stores.runs.repository import Claim, Runs
from scheduler.stores.sqlite.schema import MIGRATIONS, read_marks
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from scheduler.version import VERSION
from tests.parts.api_requests import api_requests, prepare
from tests.parts.azurite import Azurite
from tests.scheduler.backup.stores import back_up

ROOT = Path(__file__).parents[2]
RELEASES = ROOT / "tests/data/releases"
STORES = {"0.1.0": ROOT / "tests/data/old_database/scheduler.db.gz"}
RELEASED = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
VERSIONS = [each for each in RELEASED if each != VERSION]
"""Until the sources have a new number, the newest release is this program."""
NOW = datetime(2026, 11, 27, 21, tzinfo=UTC)
AGE = 86400.0 * 365


class Release:
    """A released version: its program, and a store that it has filled."""

    def __init__(self, version: str, folder: Path) -> None:
        self._script = RELEASES / version / "use_store.py"
        self._program = folder / "program"
        with tarfile.open(fileobj=lzma.open(RELEASES / version / "program.tar.xz")) as archive:
            archive.extractall(self._program, filter="data")
        self.file = folder / "scheduler.db"
        stored = STORES.get(version, RELEASES / version / "store.db.gz")
        self.file.write_bytes(gzip.decompress(stored.read_bytes()))

    async def use(self, action: str, azurite: Azurite | None = None, prefix: str = "") -> Any:
        """Let the old program open the file, or tables, and read or write."""
        store = str(self.file) if azurite is None else f"azure:{prefix}"
        connection = "" if azurite is None else azurite.connection_string
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, str(self._script), store, action],
            env={"PYTHONPATH": str(self._program), "PATH": os.environ["PATH"], "CONNECTION": connection},
            cwd=self._program,
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)


@pytest.fixture(params=VERSIONS)
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Release:
    return Release(request.param, tmp_path)


def marks_of(path: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(path)) as connection:
        marks = read_marks(connection)
    return marks.schema, marks.expanded


async def count_runs(store: Store) -> dict[str, int]:
    """How many finished runs of each job the rollups count."""
    await Runs(store).prune(NOW, AGE, 10_000)
    counters = Repositories(store).run_counters
    jobs = ["new", "written"]
    await counters.refresh(jobs, NOW)
    found = {job: counters.counts_of(job) for job in jobs}
    return {job: tally.runs for job, tally in found.items() if tally is not None}


async def finish_run(store: Store, job: str, due_at: datetime) -> None:
    runs = Runs(store)
    ticket = Ticket.scheduled(job, due_at, "abcdef123456")
    claim = await runs.claim(ticket, "a process", due_at + timedelta(minutes=1), due_at)
    assert isinstance(claim, Claim)
    await runs.finish(claim, Run(ticket.id, job, ticket.trigger, Outcome.SUCCEEDED, due_at, due_at, due_at))


def test_each_released_version_is_here() -> None:
    """The first change after a release adds its program and its store: docs/supply-chain.md, Version."""
    assert VERSIONS, "CHANGELOG.md lists released versions"
    for version in VERSIONS:
        assert (RELEASES / version / "program.tar.xz").is_file(), f"the program of {version} is missing"
        assert STORES.get(version, RELEASES / version / "store.db.gz").is_file(), f"the store of {version} is missing"


def test_the_numbers_of_the_schema_follow_from_its_migrations() -> None:
    assert len(MIGRATIONS) == ROW_SCHEMA
    assert max(number for number, one in enumerate(MIGRATIONS, 1) if one.is_contraction) == READER_SCHEMA


async def test_the_old_program_finds_everything_in_the_upgraded_file(release: Release) -> None:
    before = await release.use("read")
    assert sum(map(len, before["runs"].values())) > 300
    await (await open_sqlite(release.file)).aclose()
    assert marks_of(release.file) == (READER_SCHEMA, ROW_SCHEMA)

    assert await release.use("read") == before


async def test_the_old_program_continues_after_a_rollback_and_nothing_it_does_is_lost(release: Release) -> None:
    store = await open_sqlite(release.file)
    for request in api_requests():
        await prepare(store, request, NOW)  # stored jobs, incidents, keys and all else that is newer
    await finish_run(store, "new", NOW)
    assert await count_runs(store) == {"new": 1}
    await store.aclose()

    written = await release.use("write")
    back = await release.use("read")
    assert f"new@{NOW:%Y%m%dT%H%M%S}.000Z" in " ".join(back["runs"]["succeeded"])
    assert sum("written@" in text for text in back["runs"]["succeeded"]) == 2

    store = await open_sqlite(release.file)
    runs = Runs(store)
    assert [(await runs.find(run_id)) is not None for run_id in written] == [True] * 3
    assert await count_runs(store) == {"new": 1, "written": 2}
    # Once more, to show that nothing is counted twice.
    await store.aclose()
    store = await open_sqlite(release.file)
    assert await count_runs(store) == {"new": 1, "written": 2}
    assert await Repositories(store).stored_jobs.read()
    await store.aclose()


async def test_a_tool_does_not_hide_from_the_scheduler_that_an_older_program_has_written(release: Release) -> None:
    await (await open_sqlite(release.file)).aclose()
    await release.use("write")
    owner = await open_sqlite(release.file)
    await (await open_sqlite(release.file, StoreAccess.SHARED)).aclose()
    assert await count_runs(owner) == {"written": 2}
    await owner.aclose()


async def test_a_backup_of_a_store_that_an_older_program_has_written_is_completed_after_the_restore(
    release: Release, tmp_path: Path, azurite: Azurite, storage_prefix: str
) -> None:
    """Also where the older program has used the file after the upgrade, and in Azure Tables."""
    await (await open_sqlite(release.file)).aclose()
    await release.use("write")
    dump = await back_up(release.file, tmp_path / "dump.jsonl.gz")

    store = await open_tables(azurite, storage_prefix)
    options = BackendOptions("azure", True, _no_credential, azurite.connection_string, prefix=storage_prefix)
    scan = await open_scan(options, [*STORED_TABLES])
    await restore_dump(dump, TableTarget(store, scan, "tables"), NOW, replace=False, progress=NoProgress())
    await scan.aclose()
    await store.aclose()

    store = await open_tables(azurite, storage_prefix)
    assert await count_runs(store) == {"written": 2}
    await store.aclose()


async def test_runs_of_an_older_program_in_azure_tables_are_counted_by_the_next_one(
    release: Release, azurite: Azurite, storage_prefix: str
) -> None:
    store = await open_tables(azurite, storage_prefix)
    await finish_run(store, "new", NOW)
    assert await count_runs(store) == {"new": 1}
    await store.aclose()

    await release.use("write", azurite, storage_prefix)

    for _ in range(2):
        store = await open_tables(azurite, storage_prefix)
        assert await count_runs(store) == {"new": 1, "written": 2}
        await store.aclose()


async def open_tables(azurite: Azurite, prefix: str) -> AzureTablesStore:
    return await open_azure_tables(connection_string=azurite.connection_string, prefix=prefix)


async def _no_credential() -> Any:
    raise AssertionError("a connection string is given")
