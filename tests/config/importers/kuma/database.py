"""Databases of Uptime Kuma for tests: its own schemas with chosen rows, and the rows of a sample with all types."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from importers.report import ImportReport
from importers.running import run_import
from importers.source_tree import SourceFile

DATA = Path(__file__).parents[3] / "data/importers/uptime-kuma"
Version = Literal["1.23", "2.5"]
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


@cache
def sample() -> Any:
    return yaml.safe_load((DATA / "rows.yaml").read_text())


def monitor(kind: str, **columns: Any) -> dict[str, Any]:
    """A row as the form for new monitors writes it."""
    return {**sample()["form"], "id": 1, "name": "shop", "type": kind, **columns}


def sample_rows(version: Version) -> dict[str, list[dict[str, Any]]]:
    """All rows of the sample that a version can have."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for table, listed in sample()["tables"].items():
        for row in listed:
            values = {key: value for key, value in row.items() if key != "since"}
            if version != "1.23" or "since" not in row:
                rows.setdefault(table, []).append({**sample()["form"], **values} if table == "monitor" else values)
    return rows


def build_database(path: Path, rows: Rows, version: Version = "2.5") -> Path:
    """Write a database."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("pragma synchronous = off")
        connection.executescript((DATA / f"schema-{version}.sql").read_text())
        for table, listed in rows.items():
            for row in listed:
                names = ", ".join(f'"{name}"' for name in row)
                connection.execute(
                    f'INSERT INTO "{table}" ({names}) VALUES ({", ".join("?" * len(row))})', list(row.values())
                )
    return path


def import_database(path: Path) -> ImportReport:
    return run_import("uptime-kuma", [SourceFile(path, path.name)])


def import_monitor(folder: Path, row: Mapping[str, Any], version: Version = "2.5", **tables: Any) -> ImportReport:
    """Import a database with one monitor, and further rows."""
    return import_database(build_database(folder / "kuma.db", {"monitor": [row], **tables}, version))


def import_monitors(folder: Path, rows: Sequence[Mapping[str, Any]]) -> ImportReport:
    """Import a database with these monitors."""
    return import_database(build_database(folder / "kuma.db", {"monitor": rows}))


def import_job(folder: Path, row: Mapping[str, Any], version: Version = "2.5", **tables: Any) -> dict[str, Any]:
    """Return the one job of a monitor."""
    (definition,) = import_monitor(folder, row, version, **tables).definitions.values()
    return dict(definition)
