"""Upgrades of the SQLite file: expansions leave it usable for older programs, contractions are copied first."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from scheduler.stores.port import StoreUnavailable, Upsert
from scheduler.stores.sqlite import schema
from scheduler.stores.sqlite.schema import MIGRATIONS, Migration, upgrade
from scheduler.stores.sqlite.store import open_sqlite

OLD = len(MIGRATIONS)


def _expand(connection: sqlite3.Connection) -> None:
    """Make a row about each row of table `a` that has none."""
    connection.execute(
        "INSERT OR IGNORE INTO rows SELECT 'lengths', partition_key, row_key, 1, length(body) FROM rows "
        "WHERE table_name = 'a'"
    )


def _contract(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM rows WHERE table_name = 'a'")


EXPANDED = (*MIGRATIONS, Migration(_expand))
CONTRACTED = (*EXPANDED, Migration(_contract, is_contraction=True, space=1.0))


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    store = await open_sqlite(tmp_path / "store.db")
    await store.apply(Upsert("a", "p", "1", "12345"))
    await store.aclose()
    return tmp_path / "store.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as opened:
        yield opened


def open_for_writing(connection: sqlite3.Connection, migrations: tuple[Migration, ...]) -> None:
    """As a program with these migrations does at its start."""
    schema.migrate(connection, migrations)
    schema.count_opening(connection, len(migrations))


def rows(connection: sqlite3.Connection, table: str) -> list[tuple[str, str]]:
    return connection.execute("SELECT row_key, body FROM rows WHERE table_name = ? ORDER BY 1", (table,)).fetchall()


def test_an_older_program_uses_an_expanded_file(connection: sqlite3.Connection) -> None:
    open_for_writing(connection, EXPANDED)
    schema.require_current(connection)
    open_for_writing(connection, MIGRATIONS)
    assert rows(connection, "a") == [("1", "12345")]
    marks = schema.read_marks(connection)
    assert (marks.schema, marks.expanded) == (2, OLD + 1)


def test_an_expansion_is_repeated_for_the_rows_of_an_older_program(connection: sqlite3.Connection) -> None:
    open_for_writing(connection, EXPANDED)
    open_for_writing(connection, MIGRATIONS)
    connection.execute("INSERT INTO rows VALUES ('a', 'p', '2', 7, '12')")
    open_for_writing(connection, EXPANDED)
    assert rows(connection, "lengths") == [("1", "5"), ("2", "2")]
    assert not schema.read_marks(connection).has_older_rows


def test_an_expansion_is_not_repeated_without_a_reason(connection: sqlite3.Connection) -> None:
    open_for_writing(connection, EXPANDED)
    connection.execute("DELETE FROM rows WHERE table_name = 'lengths'")
    open_for_writing(connection, EXPANDED)
    schema.count_opening(connection, len(EXPANDED))  # a tool
    open_for_writing(connection, EXPANDED)
    assert rows(connection, "lengths") == []


def test_a_tool_of_the_older_program_is_noticed_too(connection: sqlite3.Connection) -> None:
    open_for_writing(connection, EXPANDED)
    schema.count_opening(connection, len(MIGRATIONS))
    schema.count_opening(connection, len(EXPANDED))
    assert schema.read_marks(connection).has_older_rows


def test_a_contraction_is_refused_by_the_older_program_and_copied_first(
    path: Path, connection: sqlite3.Connection
) -> None:
    reports: list[str] = []
    upgrade(path, connection, reports.append, CONTRACTED)

    with pytest.raises(StoreUnavailable, match=f"has schema version 5, this program knows {OLD} at most"):
        schema.migrate(connection, MIGRATIONS)
    with closing(sqlite3.connect(f"{path}.schema-{OLD}")) as copy:
        schema.require_current(copy)
        assert rows(copy, "a") == [("1", "12345")]
    assert reports[0] == f"store {path}: the file of schema {OLD} is copied to {path}.schema-{OLD}"
    assert reports[1] == f"store {path}: upgrading from schema {OLD} to 5"
    assert reports[2].startswith(f"store {path}: upgraded to schema 5 in ")


def test_an_expansion_needs_no_copy(path: Path, connection: sqlite3.Connection) -> None:
    reports: list[str] = []
    upgrade(path, connection, reports.append, EXPANDED)
    assert not path.with_name(f"{path.name}.schema-{OLD}").exists()
    assert len(reports) == 2


def test_a_disk_without_space_is_found_before_the_file_is_changed(
    path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = path.stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * size - 1))
    with pytest.raises(StoreUnavailable, match=r"MB of disk space.*run the former version, which still uses the file"):
        upgrade(path, connection, lambda _: None, CONTRACTED)
    assert schema.read_marks(connection).expanded == OLD
    assert [found.name for found in path.parent.iterdir() if "schema" in found.name] == []


def test_a_long_upgrade_reports_its_time(
    path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "REPORT_INTERVAL", 0.0)
    count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT count(*) FROM n"
    slow = Migration(lambda opened: opened.execute(count).fetchone())
    reports: list[str] = []
    upgrade(path, connection, reports.append, (*MIGRATIONS, slow))
    assert any(": upgrading, " in report and report.endswith(" so far") for report in reports)


def test_an_upgrade_that_fails_leaves_the_file_and_no_progress_handler(
    path: Path, connection: sqlite3.Connection
) -> None:
    def fail(opened: sqlite3.Connection) -> None:
        opened.execute("DELETE FROM rows")
        raise sqlite3.OperationalError("the machine stopped")

    with pytest.raises(sqlite3.OperationalError, match="the machine stopped"):
        upgrade(path, connection, lambda _: None, (*MIGRATIONS, Migration(fail)))
    assert rows(connection, "a") == [("1", "12345")]
    assert schema.read_marks(connection).expanded == OLD
