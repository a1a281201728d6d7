"""The SQLite file's schema and its migrations. Called by sqlite.connections when it opens a file.

Table `rows` contains everything, clustered by its key. Table `meta` contains the schema's version and the number of
openings for writing, from which etags are made.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from scheduler.stores.port import StoreUnavailable
from scheduler.stores.runs.keys import shard_of_job


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


Migration = Callable[[sqlite3.Connection], None]

MIGRATIONS: tuple[Migration, ...] = (_create_rows, _merge_run_tables)
"""The first one makes version 1 of an empty file, the next one version 2 of version 1, and so on. Only ever add."""


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Upgrade the file to the latest version, completely or not at all.

    Raises:
        StoreUnavailable: a newer version of the program wrote the file.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS meta (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID"
        )
        version = _read_version(connection)
        _refuse_newer(version, len(migrations))
        for migration in migrations[version:]:
            migration(connection)
        connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('schema', ?)", (len(migrations),))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def require_current(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Check the schema of a file that another process owns, and that must therefore not be changed.

    Raises:
        StoreUnavailable: the file is older or newer, or empty.
    """
    empty = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'").fetchone() == (0,)
    version = 0 if empty else _read_version(connection)
    _refuse_newer(version, len(migrations))
    if version < len(migrations):
        raise StoreUnavailable(
            f"the store has schema version {version}, this program needs {len(migrations)}: "
            "start the scheduler once, which upgrades the store"
        )


def count_opening(connection: sqlite3.Connection) -> int:
    """Return a number that no other opening of this file for writing has had."""
    connection.execute("BEGIN IMMEDIATE")
    (number,) = connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'opened' RETURNING value").fetchone()
    connection.execute("COMMIT")
    return int(number)


def _read_version(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    return int(row[0]) if row else 0


def _refuse_newer(version: int, known: int) -> None:
    if version > known:
        raise StoreUnavailable(
            f"the store has schema version {version}, this program knows {known} at most: "
            "it was written by a newer version; run that one, or use another file"
        )
