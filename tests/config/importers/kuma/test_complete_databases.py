"""A database with a monitor of each type: nothing that a user has set is missing from the report."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from importers.report import ImportReport
from importers.sources.kuma.monitors import MAPPED_TYPES, REFUSED_TYPES
from tests.config.importers.importing import read_jobs
from tests.config.importers.kuma.database import (
    DATA,
    Version,
    build_database,
    import_database,
    sample,
    sample_rows,
)

VERSIONS: tuple[Version, ...] = ("1.23", "2.5")
FILLED_BY_KUMA = {"id", "user_id", "created_date", "modified_date", "dns_last_result", "last_start_date"}
COUNTED = ("heartbeat", "stat_", "monitor_tls_info", "notification_sent", "knex_", "domain_expiry")
SECRETS = (
    "passw0rd",
    "k3y-of-the-orders",
    "t0ken-of-the-orders",
    "xyzzy1234567",
    "abcdefgh12345",
    "backuptoken0123456789",
    "bearer-t0ken-value",
    "oauth-s3cret-value",
    "shared-s3cret",
    "a-secret-of-the-server",
    "notarealhash",
    "PRIVATE KEY",
)


def _columns_that_were_set(path: Path) -> set[str]:
    """`table.id.column` of each value that is neither empty nor the default of the schema or of the form."""
    found: set[str] = set()
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            if table.startswith(("sqlite_", *COUNTED)):
                continue
            described = connection.execute(f'pragma table_info("{table}")').fetchall()
            defaults = {name: str(default).strip("'") for _, name, _, _, default, _ in described}
            form: dict[str, Any] = sample()["form"] if table == "monitor" else {}
            for row in connection.execute(f'select * from "{table}"'):
                values = dict(zip(defaults, row, strict=True))
                place = values["key"] if table == "setting" else values["id"]
                for name, value in values.items():
                    if table == "setting" and name != "value":
                        continue
                    if value in (None, "") or name in FILLED_BY_KUMA:
                        continue
                    if str(value) == defaults[name] or value == form.get(name):
                        continue
                    found.add(f"{table}.{place}" if table == "setting" else f"{table}.{place}.{name}")
    return found


@pytest.fixture(scope="module", params=VERSIONS)
def imported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ImportReport]:
    version: Version = request.param
    path = build_database(tmp_path_factory.mktemp("kuma") / "kuma.db", sample_rows(version), version)
    return path, import_database(path)


def test_each_column_that_was_set_is_reported(imported: tuple[Path, ImportReport]) -> None:
    path, report = imported
    reported = {entry.key for entry in report.entries}
    missing = {
        place
        for place in _columns_that_were_set(path)
        if not any(key == place or key.startswith((f"{place}.", f"{place}[")) for key in reported)
    }
    assert missing == set()


def test_no_leaf_is_left_to_chance(imported: tuple[Path, ImportReport]) -> None:
    report = imported[1]
    assert [entry.key for entry in report.entries if "does not know this key" in entry.detail] == []


def test_the_written_jobs_are_valid(imported: tuple[Path, ImportReport]) -> None:
    report = imported[1]
    assert read_jobs(report).keys() == report.definitions.keys()
    assert len(report.definitions) > 25


def test_no_secret_is_written_or_reported(imported: tuple[Path, ImportReport]) -> None:
    report = imported[1]
    written = f"{report.text}{report.to_json()}"
    assert [secret for secret in SECRETS if secret in written] == []


def test_a_type_that_the_sample_does_not_have_is_not_mapped() -> None:
    types = {row["type"] for row in sample()["tables"]["monitor"]}
    assert types - {"group", "holodeck"} == {*MAPPED_TYPES, *REFUSED_TYPES}


def test_an_older_database_without_newer_columns(tmp_path: Path) -> None:
    schema = (DATA / "schema-1.23.sql").read_text()
    newer = ("timeout", "json_path", "expected_value", "kafka", "oauth", "invert_keyword", "tls_", "gamedig", "parent")
    lines = [line for line in schema.splitlines() if not line.strip(' "').startswith(newer)]
    path = tmp_path / "kuma.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("\n".join(lines).replace(",\n);", "\n);"))
        connection.execute(
            "insert into monitor (name, type, url, interval) values ('shop', 'http', 'https://shop.example/', 60)"
        )
    (job,) = import_database(path).definitions.values()
    assert job["check"]["url"] == "https://shop.example/"
    assert job["timeout"] == {"attempt": "48s", "run": "48s"}
