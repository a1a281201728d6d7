"""A database is read as it is now, never changed, and whatever a file contains, the error is clear."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from importers.running import detect_source, run_import
from importers.source_tree import SourceFile, UnreadableSource
from importers.sources.kuma.database import open_database
from tests.config.importers.kuma.database import build_database, import_database, monitor

ROWS = {"monitor": [monitor("http", url="https://shop.example/")]}


def _state(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        file.name: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns) for file in folder.iterdir()
    }


def _message(path: Path) -> str:
    with pytest.raises(UnreadableSource) as caught:
        import_database(path)
    return str(caught.value)


def test_neither_the_file_nor_its_folder_changes(tmp_path: Path) -> None:
    path = build_database(tmp_path / "kuma.db", ROWS)
    before = _state(tmp_path)
    import_database(path)
    assert _state(tmp_path) == before


def test_what_is_only_in_the_write_ahead_log_is_read_and_the_log_remains(tmp_path: Path) -> None:
    path = build_database(tmp_path / "kuma.db", ROWS)
    with closing(sqlite3.connect(path, isolation_level=None)) as kuma:
        kuma.execute("pragma journal_mode = wal")
        kuma.execute("update monitor set url = 'https://new.shop.example/'")
        assert (tmp_path / "kuma.db-wal").stat().st_size > 0
        before = _state(tmp_path)
        (job,) = import_database(path).definitions.values()
        assert _state(tmp_path) == before
    assert job["check"]["url"] == "https://new.shop.example/"


def test_a_running_uptime_kuma_can_write_while_its_database_is_read(tmp_path: Path) -> None:
    path = build_database(tmp_path / "kuma.db", ROWS)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as kuma:
        with pytest.raises(UnreadableSource, match="was changed while it was read"), open_database(path, "kuma.db"):
            kuma.execute("update monitor set name = 'other'")
        assert kuma.execute("select name from monitor").fetchall() == [("other",)]


def test_a_write_protected_folder_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    path = build_database(folder / "kuma.db", ROWS)
    with closing(sqlite3.connect(path)) as kuma:
        kuma.execute("pragma journal_mode = wal")
    os.chmod(folder, 0o500)
    try:
        assert list(import_database(path).definitions) == ["shop"]
    finally:
        os.chmod(folder, 0o700)


def test_the_files_of_a_data_folder_beside_the_database_are_not_read(tmp_path: Path) -> None:
    path = build_database(tmp_path / "kuma.db", ROWS)
    (tmp_path / "kuma.db-shm").write_bytes(b"\0" * 64)
    files = [SourceFile(file, file.name) for file in sorted(tmp_path.iterdir())]
    assert list(run_import("uptime-kuma", files).definitions) == ["shop"]
    assert path.exists()


def test_other_files_of_the_data_folder_are_named_and_not_read(tmp_path: Path) -> None:
    build_database(tmp_path / "kuma.db", ROWS)
    (tmp_path / "logo.png").write_bytes(b"\x89PNG")
    report = run_import("uptime-kuma", [SourceFile(file, file.name) for file in sorted(tmp_path.iterdir())])
    assert list(report.definitions) == ["shop"]
    assert "logo.png: is not a database, and is not read" in report.notes


def test_a_database_is_detected(tmp_path: Path) -> None:
    assert detect_source([SourceFile(build_database(tmp_path / "kuma.db", ROWS))]) == "uptime-kuma"


def test_a_database_of_another_program_is_not_detected(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table monitor (id integer)")
    with pytest.raises(UnreadableSource, match="no source recognises"):
        detect_source([SourceFile(path)])


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "kuma.db"
    path.write_bytes(b"not a database at all")
    assert "is not an SQLite database; name the file kuma.db of Uptime Kuma" in _message(path)


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    assert "no such file or directory" in _message(tmp_path / "kuma.db")


def test_a_truncated_database(tmp_path: Path) -> None:
    path = build_database(tmp_path / "kuma.db", ROWS)
    path.write_bytes(path.read_bytes()[:5000])
    assert "damaged" in _message(path)


def test_a_database_with_noise_in_its_pages(tmp_path: Path) -> None:
    path = build_database(tmp_path / "kuma.db", ROWS)
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(index * 37 % 251 for index in range(len(content) - 4096))
    path.write_bytes(content)
    assert "cannot be read: the database is damaged" in _message(path)


def test_a_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "kuma.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table monitor (id integer)")
    assert "is not a database of Uptime Kuma: it has no table heartbeat" in _message(path)


def test_tables_that_take_for_ever_are_given_up(tmp_path: Path) -> None:
    path = tmp_path / "kuma.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table monitor (id integer)")
        connection.execute(
            "with recursive n(i) as (select 1 union all select i + 1 from n limit 200000) "
            "insert into monitor select i from n"
        )
        connection.commit()
    times = iter([0.0, *[1000.0] * 1000])
    with (
        pytest.raises(UnreadableSource, match="take longer than 30 s"),
        open_database(path, "kuma.db", lambda: next(times)) as database,
    ):
        database.rows("monitor")


def test_a_view_in_place_of_a_table_is_not_queried(tmp_path: Path) -> None:
    path = tmp_path / "kuma.db"
    with closing(sqlite3.connect(path)) as connection:
        for table in ("heartbeat", "setting", "notification"):
            connection.execute(f"create table {table} (id integer)")
        connection.execute(
            "create view monitor as with recursive n(i) as (select 1 union all select i from n) select i from n"
        )
    assert "it has no table monitor" in _message(path)


def test_more_rows_than_anybody_has(tmp_path: Path) -> None:
    path = build_database(tmp_path / "kuma.db", {"tag": [{"name": "n", "color": "c"}] * 20_001})
    assert "more than 20000 rows in the table tag" in _message(path)


def test_a_binary_value_is_reported_by_its_size(tmp_path: Path) -> None:
    path = build_database(
        tmp_path / "kuma.db", {"monitor": [monitor("http", url="https://shop.example/", description=b"\xff\xfe")]}
    )
    (job,) = import_database(path).definitions.values()
    assert job["description"] == "(2 bytes)"


def test_values_of_wrong_types_do_not_stop_the_import(tmp_path: Path) -> None:
    row = monitor(
        "http",
        url="https://shop.example/",
        interval="often",
        maxretries="many",
        headers="[1]",
        accepted_statuscodes_json="{}",
        port="x",
    )
    report = import_database(build_database(tmp_path / "kuma.db", {"monitor": [row]}))
    assert report.definitions == {}
    assert {entry.detail for entry in report.entries if entry.key == "monitor.1.url"} == {
        "it accepts no status, so that it is always down"
    }


@pytest.mark.parametrize("column", ["headers", "accepted_statuscodes_json", "conditions"])
def test_json_that_is_nested_too_deeply_is_refused(tmp_path: Path, column: str) -> None:
    row = {**ROWS["monitor"][0], column: "[" * 100_000}
    message = _message(build_database(tmp_path / "kuma.db", {"monitor": [row]}))
    assert message == f"kuma.db: the JSON in monitor.1.{column} is nested more deeply than 50 levels"


def test_a_setting_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    setting = {"key": "tlsExpiryNotifyDays", "value": "[" * 60 + "]" * 60, "type": "general"}
    message = _message(build_database(tmp_path / "kuma.db", {**ROWS, "setting": [setting]}))
    assert message == "kuma.db: the JSON in setting.tlsExpiryNotifyDays is nested more deeply than 50 levels"
