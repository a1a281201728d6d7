"""The rows of a store in the order of a backup. Used by scheduler.backup.creating and scheduler.backup.moving.

A store that has no snapshot is read while it changes. Two tables have a row that names others, and such a row must not
name what was not read: it is read first. The rows that it names are never changed, and those that are newer are left
to the next backup.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from scheduler.backup.stored_tables import INCLUDED_TABLES, STORED_TABLES
from scheduler.stores.audit import AUDIT_TABLE, HEAD_ROW, sequence_of
from scheduler.stores.port import Row, StoreScan
from scheduler.stores.rows import decode_json
from scheduler.stores.stored_jobs.repository import HEAD_KEY, HEAD_PARTITION, STORED_JOBS_TABLE

_NAMING_ROWS: Mapping[str, tuple[str, str]] = {AUDIT_TABLE: HEAD_ROW, STORED_JOBS_TABLE: (HEAD_PARTITION, HEAD_KEY)}
"""The partition and key of the row that names others, by table."""

TablePage = tuple[str, Sequence[Row]]
"""A table, and some of its rows."""


async def read_included_tables(scan: StoreScan, existing: Mapping[str, int | None]) -> AsyncIterator[TablePage]:
    """Yield the rows that a backup contains. `existing`: the tables of the store. Raises StoreError."""
    for table in INCLUDED_TABLES:
        if table not in existing:
            continue
        if scan.is_snapshot or table not in _NAMING_ROWS:
            async for page in scan.read_table(table):
                yield table, page
            continue
        async for page in _read_after_head(scan, table):
            yield table, page


async def _read_after_head(scan: StoreScan, table: str) -> AsyncIterator[Sequence[Row]]:
    partition, key = _NAMING_ROWS[table]
    head = await scan.get_row(table, partition, key)
    last = None if head is None or table != AUDIT_TABLE else int(decode_json(head.body)["seq"])
    if head is not None:
        yield [head]
    async for page in scan.read_table(table):
        rows = [row for row in page if (row.partition, row.key) != (partition, key)]
        if table == AUDIT_TABLE and last is not None:
            rows = [row for row in rows if row.partition != partition or sequence_of(row) <= last]
        if rows:
            yield rows


def find_omitted_tables(existing: Mapping[str, int | None]) -> dict[str, str]:
    """Return the tables of the store that a backup does not contain, and why."""
    unknown = "this program does not know it: a newer one has written it, or it is another deployment's"
    found = {}
    for table in sorted(existing):
        stored = STORED_TABLES.get(table)
        if stored is None:
            found[table] = unknown
        elif stored.omitted:
            found[table] = stored.omitted
    return found
