"""What a store contains as a whole: whether it has rows, and the digests of its tables. Used by scheduler.backup."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.backup.progress import RowProgress
from scheduler.backup.sources import read_included_tables
from scheduler.backup.stored_tables import INCLUDED_TABLES, is_included
from scheduler.backup.table_digests import TableDigest
from scheduler.stores.port import StoreScan


async def find_filled_tables(scan: StoreScan) -> list[str]:
    """Return the tables that a backup would contain and that have rows. Raises StoreError."""
    existing = await scan.count_rows()
    filled = []
    for table in INCLUDED_TABLES:
        count = existing.get(table, 0)
        if count is None:
            count = 0
            async for page in scan.read_table(table):
                count = len(page)
                break
        if count:
            filled.append(table)
    return filled


async def digest_tables(scan: StoreScan, progress: RowProgress) -> Mapping[str, TableDigest]:
    """Read all rows that a backup would contain. Raises StoreError."""
    existing = await scan.count_rows()
    counts = [count for table, count in existing.items() if is_included(table)]
    progress.begin("comparing", None if None in counts else sum(count or 0 for count in counts))
    tables: dict[str, TableDigest] = {}
    async for table, rows in read_included_tables(scan, existing):
        tables.setdefault(table, TableDigest()).add(rows)
        progress.advance(len(rows))
    return tables
