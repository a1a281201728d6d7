"""What is true of the SQLite store beyond the port: transactions, owners, schema, and files that cannot be used."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scheduler.stores.port import (
    MAX_BODY,
    Change,
    Delete,
    Etags,
    Insert,
    Replace,
    RowExists,
    StoreError,
    StoreUnavailable,
    Upsert,
)
from scheduler.stores.runs.keys import shard_of_job
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite import schema
from scheduler.stores.sqlite import store as sqlite
from scheduler.stores.sqlite.connections import open_connections
from scheduler.stores.sqlite.file_access import ChangeGroup, SqliteWriter
from scheduler.stores.sqlite.store import SqliteStore, StoreAccess, open_sqlite, sqlite_path

ROOT = Path(__file__).resolve().parents[4]
FIRST_VERSION = Path(__file__).with_name("schema_1.sql")


PAGE = 4096


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_sqlite(path)
    yield store
    await store.aclose()


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///data/scheduler.db", "data/scheduler.db"), ("sqlite:////var/lib/s.db", "/var/lib/s.db")],
)
def test_a_url_names_a_relative_or_an_absolute_file(url: str, path: str) -> None:
    assert sqlite_path(url) == Path(path)


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite:////", "sqlite://x.db", "azure", "", "postgres:///x"])
def test_what_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="write sqlite:///path"):
        sqlite_path(url)


async def test_an_apply_is_made_wholly_or_not_at_all(store: SqliteStore) -> None:
    await store.apply(Insert("a", "p", "2", "old"))
    with pytest.raises(RowExists):
        await store.apply(Insert("a", "p", "1", "new"), Upsert("b", "q", "1", "new"), Insert("a", "p", "2", "new"))
    assert await store.get_row("a", "p", "1") is None
    assert await store.get_row("b", "q", "1") is None


async def test_a_row_that_cannot_be_stored_fails_alone(store: SqliteStore) -> None:
    bad = store.apply(Upsert("a", "p", "1", "half a pair: \ud800"))
    good = store.apply(Upsert("a", "p", "2", "1"))
    answers = await asyncio.gather(bad, good, return_exceptions=True)
    assert isinstance(answers[0], StoreError)
    assert isinstance(answers[1], tuple)


def test_applies_that_wait_together_are_one_transaction(path: Path) -> None:
    connections = open_connections(path, StoreAccess.OWN)
    assert connections.writing is not None
    statements: list[str] = []
    connections.writing.set_trace_callback(statements.append)
    writer = SqliteWriter(path, connections.writing, connections.opening)
    answers = writer.process([(Insert("a", "p", str(number), "1"),) for number in range(200)])
    connections.close()
    assert all(isinstance(answer, tuple) for answer in answers)
    assert (statements[0], statements[-1]) == ("BEGIN IMMEDIATE", "COMMIT")
    # 64 + 64 + 64 + 4 + 4 rows: the thread waits for the interpreter's lock after each statement.
    assert len(statements) == 7


_KEYS = st.sampled_from("abc")
_ETAGS = st.sampled_from(["0", "1", "99", "of another store"])
"""The first two are those of the rows that exist."""
_CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(Insert, st.just("t"), st.just("p"), _KEYS, st.just("inserted")),
    st.builds(Upsert, st.just("t"), st.just("p"), _KEYS, st.sampled_from(["put", "x" * (MAX_BODY + 1)])),
    st.builds(Replace, st.just("t"), st.just("p"), _KEYS, st.just("replaced"), _ETAGS),
    st.builds(Delete, st.just("t"), st.just("p"), _KEYS, _ETAGS | st.just("")),
)


@example([(Delete("t", "p", "a"),), (Upsert("t", "p", "b", "put"),), (Delete("t", "p", "b"),)])
@example([(Upsert("t", "p", "c", "put"), Replace("t", "p", "a", "replaced", "0"), Delete("t", "p", "c"))])
@given(st.lists(st.lists(_CHANGES, min_size=1, max_size=4).map(tuple), max_size=6))
def test_a_batch_gives_what_its_applies_give_one_by_one(groups: list[tuple[Change, ...]]) -> None:
    def make(batches: list[list[tuple[Change, ...]]]) -> tuple[list[str], list[tuple[object, ...]]]:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        schema.upgrade(Path("file"), connection, lambda *_: None)
        writer = SqliteWriter(Path("file"), connection, 0)
        writer.process([(Insert("t", "p", "a", "1"),), (Insert("t", "p", "b", "1"),)])
        answers = [answer for batch in batches for answer in writer.process(batch)]
        rows = connection.execute("SELECT row_key, body FROM rows ORDER BY row_key").fetchall()
        connection.close()
        return [str(answer) if isinstance(answer, Exception) else f"{len(answer)} etags" for answer in answers], rows

    assert make([groups]) == make([[group] for group in groups])


async def test_applies_of_one_moment_travel_together(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    assert store._writer_thread is not None
    work = store._writer_thread._process

    def counted(group: Sequence[ChangeGroup]) -> Sequence[Etags | Exception]:
        groups.append(len(group))
        return work(group)

    monkeypatch.setattr(store._writer_thread, "_process", counted)
    await asyncio.gather(*(store.apply(Upsert("a", "p", str(number), "1")) for number in range(100)))
    assert groups == [100]


async def test_a_caller_that_is_cancelled_does_not_stop_its_change(store: SqliteStore) -> None:
    change = asyncio.create_task(store.apply(Upsert("a", "p", "1", "1")))
    await asyncio.sleep(0)
    change.cancel()
    await asyncio.gather(change, return_exceptions=True)
    await store.ping()
    assert await store.get_row("a", "p", "1") is not None


async def test_changes_in_flight_are_made_before_it_closes(path: Path) -> None:
    store = await open_sqlite(path)
    applies = [asyncio.create_task(store.apply(Upsert("a", "p", str(number), "1"))) for number in range(50)]
    await asyncio.sleep(0)
    await store.aclose()
    await asyncio.gather(*applies)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM rows").fetchone() == (50,)
    assert sorted(os.listdir(path.parent)) == ["store.db", "store.db.lock"]


async def test_a_file_that_another_program_keeps_locked_does_not_hold_up_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "CLOSE_TIMEOUT", 0.05)
    store = await open_sqlite(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        change = asyncio.ensure_future(store.apply(Insert("t", "p", "k", "{}")))
        await asyncio.sleep(0)
        await store.aclose()
        assert not change.done()
        other.execute("ROLLBACK")

    assert len(await change) == 1
    assert "is busy" in caplog.text
    store._connections.close()  # what the end of a process does


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed")
@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_is_removed_under_an_open_store_is_reported(
    replaced: bool, store: SqliteStore, path: Path
) -> None:
    await store.ping()
    os.rename(path, path.with_suffix(".away"))
    if replaced:
        os.mknod(path)

    with pytest.raises(StoreUnavailable, match="removed or replaced"):
        await store.ping()

    os.rename(path.with_suffix(".away"), path)
    await store.ping()


async def test_a_closed_store_reports_it(path: Path) -> None:
    store = await open_sqlite(path)
    await store.aclose()
    for use in (store.ping(), store.get_row("a", "p", "1"), store.list_rows("a", "p", limit=1)):
        with pytest.raises(StoreUnavailable, match="is closed"):
            await use


async def test_much_writing_does_not_let_the_wal_grow_without_end(store: SqliteStore, path: Path) -> None:
    for start in range(0, 20_000, 500):
        await asyncio.gather(*(store.apply(Upsert("a", "p", str(start + n), "x" * 300)) for n in range(500)))
    assert len(read(path.with_name("store.db-wal"))) < 40 * 2**20
    assert len(read(path)) > 2**20, "nothing was moved into the file"


# --- Owners -----------------------------------------------------------------------------------------------------------


async def test_a_second_scheduler_is_refused_and_reported_who_has_the_file(store: SqliteStore, path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=rf"in use by another scheduler \(process {os.getpid()}\).*SCHEDULER_ST"):
        await open_sqlite(path)
    await store.ping()


async def test_the_next_scheduler_may_have_the_file_when_the_first_has_closed_it(path: Path) -> None:
    for _ in range(2):
        store = await open_sqlite(path)
        await store.aclose()


async def test_a_tool_reads_and_writes_next_to_the_scheduler(store: SqliteStore, path: Path) -> None:
    tool = await open_sqlite(path, StoreAccess.SHARED)
    etags = await tool.apply(Upsert("a", "p", "1", "tool")), await store.apply(Upsert("a", "p", "1", "scheduler"))
    assert len(set(etags)) == 2
    await tool.aclose()
    await store.ping()


async def test_a_tool_alone_leaves_the_file_to_the_scheduler(path: Path) -> None:
    tool = await open_sqlite(path, StoreAccess.SHARED)
    scheduler = await open_sqlite(path)
    await scheduler.apply(Upsert("a", "p", "1", "1"))
    assert await tool.get_row("a", "p", "1") is not None
    await tool.aclose()
    await scheduler.aclose()


async def test_a_tool_that_only_reads_cannot_write(store: SqliteStore, path: Path) -> None:
    await store.apply(Upsert("a", "p", "1", "1"))
    tool = await open_sqlite(path, StoreAccess.READ_ONLY)
    await tool.ping()
    assert await tool.get_row("a", "p", "1") is not None
    with pytest.raises(StoreUnavailable, match="for reading only"):
        await tool.apply(Upsert("a", "p", "1", "2"))
    await tool.aclose()


async def test_a_tool_that_only_reads_makes_no_file(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"store .* does not exist: start the scheduler first"):
        await open_sqlite(path, StoreAccess.READ_ONLY)
    assert not path.parent.exists()


# --- Schema -----------------------------------------------------------------------------------------------------------


async def test_a_file_of_the_first_version_is_read(path: Path) -> None:
    """The dump was made by the first release: it is never changed."""
    write(path, b"")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(read(FIRST_VERSION).decode())
    store = await open_sqlite(path)
    row = await store.get_row("history", shard_of_job("checkout"), "r~checkout~8204391999999")
    assert row is not None
    assert row.etag == "1099511627778"
    (etag,) = await store.apply(Upsert("history", shard_of_job("checkout"), "r~checkout~8204391999999", "{}"))
    assert int(etag) > int(row.etag)
    await store.aclose()


async def test_runs_of_the_first_version_are_found_in_every_list(path: Path) -> None:
    write(path, b"")
    with closing(sqlite3.connect(path)) as connection:
        schema.migrate(connection, schema.MIGRATIONS[:1])
        for number in range(50):
            job, at = f"job{number}", f"{8204391999999 + number}"
            body = {"is": ["queued", "running", "failed"][number % 3], "trigger": "schedule"}
            if number % 3 == 2:
                body |= {"start": 1795608000001000, "end": 1795608000034000}
            rows = [("runs", job, at, 1, json.dumps(body)), ("timeline", "open", f"{at}@{job}", 2, "{}")]
            connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("INSERT INTO rows VALUES ('pauses', 'jobs', 'job0', 3, '{}')")
        connection.commit()
    store = await open_sqlite(path)
    runs = Runs(store)
    assert [record.ticket.job for record in (await runs.list_page(outcome="failed")).records] == [
        f"job{number}" for number in range(50) if number % 3 == 2
    ]
    assert (
        len((await runs.list_page(outcome="queued")).records)
        == len((await runs.list_page(outcome="running")).records)
        == 17
    )
    assert [len((await runs.list_page(job=f"job{number}")).records) for number in range(50)] == [1] * 50
    assert len(await runs.list_open()) == 34
    assert await runs.list_unacknowledged() == []
    assert await store.get_row("pauses", "jobs", "job0") is not None
    await store.aclose()
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT table_name, count(*) FROM rows GROUP BY 1").fetchall()
    assert tables == [("history", 100), ("pauses", 1)]


def _add_column(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE rows ADD COLUMN added INTEGER")


def _break(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE rows ADD COLUMN more INTEGER")
    raise sqlite3.OperationalError("the machine tripped")


_next, _broken = schema.Migration(_add_column, is_contraction=True), schema.Migration(_break, is_contraction=True)


def _columns(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[1] for row in connection.execute("PRAGMA table_info(rows)")]


async def test_an_older_file_is_brought_forward_and_retains_its_rows(store: SqliteStore, path: Path) -> None:
    await store.apply(Upsert("a", "p", "1", "1"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        schema.migrate(connection, (*schema.MIGRATIONS, _next))
        schema.migrate(connection, (*schema.MIGRATIONS, _next))
        assert connection.execute("SELECT body, added FROM rows").fetchall() == [("1", None)]


async def test_a_migration_that_fails_leaves_the_file_as_it_was(store: SqliteStore, path: Path) -> None:
    before = _columns(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError):
            schema.migrate(connection, (*schema.MIGRATIONS, _next, _broken))
        schema.require_current(connection)
    assert _columns(path) == before


@pytest.mark.parametrize("access", list(StoreAccess))
async def test_a_file_of_a_newer_version_is_left_alone(path: Path, access: StoreAccess) -> None:
    await (await open_sqlite(path)).aclose()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        schema.migrate(connection, (*schema.MIGRATIONS, _next))
    with pytest.raises(StoreUnavailable, match="schema version 4, this program knows 3 at most"):
        await open_sqlite(path, access)


@pytest.mark.parametrize("access", [StoreAccess.SHARED, StoreAccess.READ_ONLY])
async def test_a_tool_does_not_bring_forward_what_the_scheduler_has_open(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch, access: StoreAccess
) -> None:
    newer = (*schema.MIGRATIONS, _next)
    monkeypatch.setattr(schema.require_current, "__defaults__", (newer,))
    with pytest.raises(StoreUnavailable, match="has schema version 3, this program needs 4"):
        await open_sqlite(path, access)


async def test_an_empty_database_has_no_schema_for_a_reader(path: Path) -> None:
    write(path, b"")
    with pytest.raises(StoreUnavailable, match="schema version 0"):
        await open_sqlite(path, StoreAccess.READ_ONLY)


# --- Files that cannot be used ----------------------------------------------------------------------------------------


async def test_a_file_that_is_no_database_is_refused_with_what_to_do(path: Path) -> None:
    write(path, b"jobs: {}\n" * 1000)
    with pytest.raises(StoreUnavailable, match="is not a SQLite database; move it"):
        await open_sqlite(path)
    assert read(path) == b"jobs: {}\n" * 1000


async def test_a_damaged_file_is_distinguished_from_an_empty_one(path: Path) -> None:
    store = await open_sqlite(path)
    await store.apply(*(Upsert("a", "p", f"{number:04}", "x" * 500) for number in range(900)))
    await store.aclose()
    content = read(path)
    write(path, content[: 2 * PAGE] + b"\x55" * (len(content) - 2 * PAGE))
    store = await open_sqlite(path)
    with pytest.raises(StoreUnavailable, match="is damaged: stop the scheduler, and restore a backup"):
        await store.list_rows("a", "p", limit=1000)
    with pytest.raises(StoreUnavailable, match="is damaged: stop the scheduler, and restore a backup"):
        await store.apply(*(Upsert("a", "p", f"{number:04}", "y") for number in range(900)))
    await store.aclose()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"file/store\.db: .*check the path"):
        await open_sqlite(tmp_path / "file" / "store.db")


async def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open database file: check the path"):
        await open_sqlite(tmp_path)


async def test_a_file_that_another_program_keeps_locked_is_worth_another_try(store: SqliteStore, path: Path) -> None:
    assert store._connections.writing is not None
    store._connections.writing.execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="the change is retried"):
            await store.apply(Upsert("a", "p", "1", "1"))
        assert await store.get_row("a", "p", "1") is None
        other.execute("ROLLBACK")
    await store.apply(Upsert("a", "p", "1", "1"))


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from scheduler.stores.port import Upsert, StoreUnavailable
from scheduler.stores.sqlite.store import open_sqlite

async def main():
    store = await open_sqlite(Path(sys.argv[1]))
    await store.apply(Upsert("a", "p", "before", "1"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    for number in range(10):
        try:
            await store.apply(*(Upsert("a", "p", f"{number}-{n}", "x" * 1000) for n in range(50)))
        except StoreUnavailable as error:
            print(error)
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    try:
        await store.ping()
    except StoreUnavailable:
        print("ping tells")
    print(await store.get_row("a", "p", "before") is not None)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.apply(Upsert("a", "p", "after", "1"))
    await store.aclose()

asyncio.run(main())
"""


def test_a_full_disk_is_reported_and_got_over(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert "disk" in first
    assert rest == ["ping tells", "True"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM rows WHERE row_key IN ('before', 'after')").fetchone() == (2,)
