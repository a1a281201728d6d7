"""The SQLite file's schema, its migrations, and the upgrade of a file when it is opened.

Table `rows` contains everything, clustered by its key. Table `meta` contains numbers:

    schema      the last contraction: a program that knows fewer migrations refuses the file, also version 0.1.0
    expanded    the last migration that was made; without this row it is `schema`
    opened      how often the file was opened for writing; etags are made from it
    written     `opened` at the last opening by a program that knows all migrations up to `expanded`

If `opened` is not `written`, an older program has written. It knows nothing of the expansions since then, so these are
made once more for its rows.

An upgrade checks the space, copies the file before a contraction, and reports progress and time. An expansion needs no
copy: older programs use the file as before.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from jobs.formats import describe_span
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.runs.keys import shard_of_job

_log = logging.getLogger("scheduler.stores")


def _create_rows(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO meta (name, value) VALUES ('opened', 0)")
    # Without rowid: rows of a partition are neighbours, so the newest runs of a job are one look-up and a short scan.
    connection.execute(
        """
        CREATE TABLE rows (
            table_name TEXT NOT NULL,
            partition_key TEXT NOT NULL,
            row_key TEXT NOT NULL,
            etag INTEGER NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (table_name, partition_key, row_key)
        ) WITHOUT ROWID
        """
    )


def _merge_run_tables(connection: sqlite3.Connection) -> None:
    """Move runs and their pointers from `runs` and `timeline` into one table, partitioned by the job's shard."""
    connection.create_function("shard", 1, shard_of_job, deterministic=True)
    # In the order of the new keys, so that the file grows at its end.
    connection.execute(
        """
        INSERT INTO rows
        SELECT 'history', shard(partition_key), 'o~' || partition_key || '~' || row_key, etag, body
        FROM rows WHERE table_name = 'runs' AND json_extract(body, '$.is') IN ('queued', 'running')
        """
    )
    connection.execute(
        """
        INSERT INTO rows
        SELECT 'history', shard(partition_key), 'd~' || row_key || '@' || partition_key, etag, json_quote(outcome)
        FROM (SELECT *, json_extract(body, '$.is') AS outcome FROM rows WHERE table_name = 'runs')
        WHERE outcome NOT IN ('queued', 'running') ORDER BY 2, 3
        """
    )
    connection.execute(
        """
        INSERT INTO rows
        SELECT 'history', shard(partition_key), 'r~' || partition_key || '~' || row_key, etag, body
        FROM rows WHERE table_name = 'runs' ORDER BY 2, 3
        """
    )
    connection.execute("DELETE FROM rows WHERE table_name IN ('runs', 'timeline')")


def _count_runs_again(connection: sqlite3.Connection) -> None:
    """Let the runs that older programs finished be counted by hour: see scheduler.stores.runs.rollups.upkeep."""
    connection.execute(
        """
        UPDATE rows SET body = json_remove(body, '$.counted', '$.position')
        WHERE table_name = 'history' AND row_key = 'rollups'
        """
    )


class Migration(NamedTuple):
    """`is_contraction`: programs that do not know it cannot use the file afterwards. Otherwise it is an expansion,
    which can be repeated. `space`: disk space that it needs, in sizes of the file.
    """

    apply: Callable[[sqlite3.Connection], None]
    is_contraction: bool = False
    space: float = 0.0


MIGRATIONS: tuple[Migration, ...] = (
    Migration(_create_rows, is_contraction=True),
    Migration(_merge_run_tables, is_contraction=True, space=2.0),
    Migration(_count_runs_again),
)
"""The first one makes version 1 of an empty file, the next one version 2 of version 1, and so on. Only ever add. Their
number is ROW_SCHEMA in scheduler.stores.rows, that of the last contraction is READER_SCHEMA.
"""


class SchemaMarks(NamedTuple):
    """The numbers in `meta`; all 0 in an empty file."""

    schema: int = 0
    expanded: int = 0
    opened: int = 0
    written: int = 0

    @property
    def has_older_rows(self) -> bool:
        """Whether an older program has written since the expansions."""
        return self.expanded > self.schema and self.opened != self.written


def read_marks(connection: sqlite3.Connection) -> SchemaMarks:
    if connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'").fetchone() == (0,):
        return SchemaMarks()
    found = {str(name): int(value) for name, value in connection.execute("SELECT name, value FROM meta")}
    schema = found.get("schema", 0)
    return SchemaMarks(schema, found.get("expanded", schema), found.get("opened", 0), found.get("written", 0))


def find_pending(marks: SchemaMarks, migrations: Sequence[Migration] = MIGRATIONS) -> Sequence[Migration]:
    """Return the migrations to make, or to repeat after an older program."""
    first = marks.schema if marks.has_older_rows else marks.expanded
    return migrations[first:]


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Upgrade the file to the latest version, completely or not at all.

    Raises:
        StoreUnavailable: a newer program has contracted the file.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS meta (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID"
        )
        marks = read_marks(connection)
        _refuse_newer(marks.schema, len(migrations))
        for migration in find_pending(marks, migrations):
            migration.apply(connection)
        contracted = max((number for number, one in enumerate(migrations, 1) if one.is_contraction), default=0)
        _write_mark(connection, "schema", max(marks.schema, contracted))
        _write_mark(connection, "expanded", max(marks.expanded, len(migrations)))
        if len(migrations) >= marks.expanded:
            _write_mark(connection, "written", marks.opened)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def require_current(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Check the schema of a file that another process owns, and that must therefore not be changed.

    Raises:
        StoreUnavailable: the file is older, contracted by a newer program, or empty.
    """
    marks = require_readable(connection, migrations)
    if marks.expanded < len(migrations):
        raise StoreUnavailable(
            f"the store has schema version {marks.expanded}, this program needs {len(migrations)}: "
            "start the scheduler once, or run `store upgrade`, which upgrades the store"
        )


def require_readable(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> SchemaMarks:
    """Check that this program can read the rows, which may be of an older one. Return the marks.

    Raises:
        StoreUnavailable: the file was contracted by a newer program, or lacks a contraction, or is empty.
    """
    marks = read_marks(connection)
    _refuse_newer(marks.schema, len(migrations))
    if any(one.is_contraction for one in migrations[marks.expanded :]):
        raise StoreUnavailable(
            f"the store has schema version {marks.expanded}, this program needs {len(migrations)}: "
            "start the scheduler once, or run `store upgrade`, which upgrades the store"
        )
    return marks


def count_opening(connection: sqlite3.Connection, supported: int = len(MIGRATIONS)) -> int:
    """Return a number that no other opening of this file for writing has had.

    `supported`: the number of migrations of this program.
    """
    connection.execute("BEGIN IMMEDIATE")
    (number,) = connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'opened' RETURNING value").fetchone()
    marks = read_marks(connection)
    # Otherwise an older program has written, and a tool must not hide that from the next scheduler.
    if supported >= marks.expanded and number - 1 == marks.written:
        _write_mark(connection, "written", number)
    connection.execute("COMMIT")
    return int(number)


def mark_older_rows(connection: sqlite3.Connection) -> None:
    """Let the next scheduler repeat the expansions, as after an older program: the rows are restored ones."""
    _write_mark(connection, "written", -1)


def _write_mark(connection: sqlite3.Connection, name: str, value: int) -> None:
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))


def _refuse_newer(version: int, supported: int) -> None:
    if version > supported:
        raise StoreUnavailable(
            f"the store has schema version {version}, this program knows {supported} at most: "
            "it was written by a newer version; run that one, or use another file"
        )


REPORT_INTERVAL = 5.0
"""Seconds between two reports of an upgrade."""
_COPIED_PAGES = 4096
_STEPS_BETWEEN_CHECKS = 200_000
"""Instructions of SQLite's virtual machine between two reads of the clock."""

UpgradeReport = Callable[[str], None]


def log_upgrade(text: str) -> None:
    """Report to the log."""
    _log.info("%s", text)


def upgrade(
    path: Path,
    connection: sqlite3.Connection,
    report: UpgradeReport = log_upgrade,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> None:
    """Upgrade the file to the latest schema, completely or not at all.

    Raises:
        StoreUnavailable: a newer program has contracted the file, or the disk is too full.
    """
    marks = read_marks(connection)
    pending = find_pending(marks, migrations)
    if not marks.expanded or not pending:
        migrate(connection, migrations)
        return
    began_at = time.monotonic()
    if any(migration.is_contraction for migration in pending):
        _require_space(path, pending)
        copy = _copy_file(path, connection, marks.expanded, report)
        report(f"store {path}: the file of schema {marks.expanded} is copied to {copy}")
    if marks.expanded < len(migrations):
        report(f"store {path}: upgrading from schema {marks.expanded} to {len(migrations)}")
    else:
        report(f"store {path}: an older version has written to it; adding what its rows lack")
    last_report = began_at

    def check_clock() -> int:
        nonlocal last_report
        now = time.monotonic()
        if now - last_report >= REPORT_INTERVAL:
            last_report = now
            report(f"store {path}: upgrading, {describe_span(now - began_at)} so far")
        return 0

    connection.set_progress_handler(check_clock, _STEPS_BETWEEN_CHECKS)
    try:
        migrate(connection, migrations)
    finally:
        connection.set_progress_handler(None, 0)
    report(f"store {path}: upgraded to schema {len(migrations)} in {describe_span(time.monotonic() - began_at)}")


def _require_space(path: Path, pending: Sequence[Migration]) -> None:
    size = path.stat().st_size
    needed = size * (1 + max(migration.space for migration in pending))
    free = shutil.disk_usage(path.absolute().parent).free
    if free < needed:
        raise StoreUnavailable(
            f"store {path}: the upgrade needs {needed / 1e6:.0f} MB of disk space, {free / 1e6:.0f} MB are free: "
            "free some, or run the former version, which still uses the file"
        )


def _copy_file(path: Path, connection: sqlite3.Connection, schema: int, report: UpgradeReport) -> Path:
    """Copy the file with what its WAL holds. Return the copy."""
    copy = path.with_name(f"{path.name}.schema-{schema}")
    partial = copy.with_name(f"{copy.name}.partial")
    with suppress(FileNotFoundError):
        partial.unlink()
    last_report = time.monotonic()

    def show(status: int, remaining: int, total: int) -> None:
        nonlocal last_report
        if time.monotonic() - last_report >= REPORT_INTERVAL:
            last_report = time.monotonic()
            report(f"store {path}: copied {100 * (total - remaining) // max(total, 1)} %")

    with closing(sqlite3.connect(partial)) as target:
        connection.backup(target, pages=_COPIED_PAGES, progress=show)
    os.replace(partial, copy)
    return copy
