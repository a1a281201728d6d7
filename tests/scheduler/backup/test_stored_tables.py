"""A table that is stored is in the registry of backups, so that nothing is forgotten."""

from __future__ import annotations

import ast
import gzip
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from scheduler.features.backup.tables import INCLUDED_TABLES, STORED_TABLES
from tests.project.product import modules

OLD_DATABASE = Path(__file__).parents[2] / "data/old_database/scheduler.db.gz"
_TABLE_SECOND = {"iterate_pages", "list_all_rows", "Table"}
_WITH_A_TABLE = {"Insert", "Replace", "Upsert", "Delete", "get_row", "list_rows", *_TABLE_SECOND}


def declared_tables() -> dict[str, str]:
    """The value of each constant `..._TABLE` of the product, with its place."""
    found = {}
    for module in modules():
        for node in module.tree.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            value = getattr(node, "value", None)
            if isinstance(target, ast.Name) and target.id.endswith("_TABLE") and isinstance(value, ast.Constant):
                found[value.value] = f"{module.path}: {target.id}"
    return found


def literal_tables() -> Iterator[str]:
    """Places where a row's table is a literal, which `declared_tables` would not find."""
    for module in modules():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            place = 1 if name in _TABLE_SECOND else 0
            if name in _WITH_A_TABLE and len(node.args) > place and isinstance(node.args[place], ast.Constant):
                yield f"{module.path}:{node.lineno}"


def test_each_table_of_the_program_is_registered() -> None:
    declared = declared_tables()
    assert len(declared) > 20
    assert {table: place for table, place in declared.items() if table not in STORED_TABLES} == {}
    assert STORED_TABLES.keys() - declared.keys() == set(), "a registered table that nothing stores"


def test_a_table_is_named_by_a_constant() -> None:
    assert [*literal_tables()] == []


def test_what_a_backup_omits_has_a_reason() -> None:
    omitted = {name: table.omitted for name, table in STORED_TABLES.items() if name not in INCLUDED_TABLES}
    assert omitted.keys() == {"sessions", "slots", "leases", "rate_limits", "watchdog", "health"}
    assert all(len(reason) > 10 for reason in omitted.values())


def test_a_database_of_version_0_1_0_has_no_other_table(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress(OLD_DATABASE.read_bytes()))
    with closing(sqlite3.connect(path)) as connection:
        stored = {table for (table,) in connection.execute("SELECT DISTINCT table_name FROM rows")}
    assert stored - STORED_TABLES.keys() == set()
