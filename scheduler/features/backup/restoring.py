"""Restores a backup into a store, or copies a store into another one.

The rows are those of the source but for the cursors, see `adapt_rows`. At the end all rows are read back and compared.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from scheduler.features.backup.dumps import DumpReader, verify_dump
from scheduler.features.backup.port import RestoreDiffers, RestoreTarget, RowProgress
from scheduler.features.backup.tables import TableDigest, TablePage, find_differences, is_included, read_included_tables
from scheduler.identity.api_keys import ApiKey
from scheduler.stores.identity import API_KEYS_TABLE, decode_keys
from scheduler.stores.port import MAX_ATOMIC_GROUP, Row, Store, StoreError, StoreScan, Upsert
from scheduler.stores.schedules import (
    CURSORS_TABLE,
    PLANNED_UNTIL_CURSOR,
    STRANDED_CURSOR,
    decode_instant,
    encode_instant,
)

REPLANNED_SPAN = timedelta(minutes=15)
"""Before a backup that is not a snapshot: instants of this time are planned again. A queue's message for one of them
may have been waiting or in flight, and the queue is in no backup. A run that exists is not run again."""
_GROUP_CHARACTERS = 500_000
"""Characters of the rows of one transaction: Azure Tables accepts 4 MiB."""


class RestoreResult(NamedTuple):
    """The number of rows, what happened to the former store ("" without one), tables of the backup that this program
    does not know, and the keys that the API accepts from now on."""

    rows: int
    former: str
    skipped: Sequence[str] = ()
    keys: Sequence[ApiKey] = ()


async def restore_dump(
    path: Path, target: RestoreTarget, now: datetime, *, replace: bool, progress: RowProgress
) -> RestoreResult:
    """Verify the file, and restore it. Raises BackupError, StoreError."""
    keys: list[ApiKey] = []
    header, trailer = await verify_dump(path, progress)
    present = await target.prepare(trailer.sha256, replace=replace, progress=progress)
    reader = DumpReader(path)
    try:
        read_from = None if header.is_snapshot else header.started_at
        pages = _find_keys(reader.read_pages(), keys)
        rows = await _fill(pages, target, read_from, trailer.rows, present, progress)
    finally:
        reader.close()
    skipped = [table for table in trailer.tables if not is_included(table)]
    active = [key for key in keys if key.is_active_at(now)]
    return RestoreResult(rows, await target.commit(header.schema), skipped, active)


async def _find_keys(pages: AsyncIterator[TablePage], keys: list[ApiKey]) -> AsyncIterator[TablePage]:
    """Yield the pages, and add the API keys that they contain to `keys`."""
    async for table, rows in pages:
        if table == API_KEYS_TABLE:
            keys += decode_keys(rows)
        yield table, rows


async def copy_store(
    scan: StoreScan, target: RestoreTarget, now: datetime, *, replace: bool, progress: RowProgress
) -> RestoreResult:
    """Copy a store that no process uses. Raises BackupError, StoreError."""
    existing = await scan.count_rows()
    await target.prepare(f"copy of {now.isoformat()}", replace=replace, progress=progress)
    counts = [count for table, count in existing.items() if is_included(table)]
    total = None if None in counts else sum(count or 0 for count in counts)
    read_from = None if scan.is_snapshot else now
    rows = await _fill(read_included_tables(scan, existing), target, read_from, total, 0, progress)
    return RestoreResult(rows, await target.commit(await scan.read_schema()))


async def _fill(
    pages: AsyncIterator[TablePage],
    target: RestoreTarget,
    read_from: datetime | None,
    total: int | None,
    present: int,
    progress: RowProgress,
) -> int:
    """Write all pages, and compare what is read back. Return the number of rows."""
    progress.begin("writing", total)
    tables: dict[str, TableDigest] = {}
    done = 0
    async for table, rows in pages:
        adapted = rows if read_from is None else adapt_rows(table, rows, read_from)
        tables.setdefault(table, TableDigest()).add(adapted)
        done += len(rows)
        if done > present:
            await write_rows(target.store, table, adapted)
            await target.save_progress(done)
        progress.advance(len(rows))
    differences = find_differences(tables, await target.read_digests(progress))
    if differences:
        raise RestoreDiffers(
            f"{target.description} does not have the rows that were written: {'; '.join(differences)}. "
            "Another process writes to it: stop that one, and restore again"
        )
    return sum(digest.rows for digest in tables.values())


def adapt_rows(table: str, rows: Sequence[Row], read_from: datetime) -> Sequence[Row]:
    """Return the rows for a program that has none of the queue's messages.

    It plans again from some minutes before the backup on, and sends each queued run again.
    """
    if table != CURSORS_TABLE:
        return rows
    adapted = []
    for row in rows:
        if row.partition == STRANDED_CURSOR:
            continue
        if row.partition == PLANNED_UNTIL_CURSOR:
            position = min(decode_instant(row.body), read_from - REPLANNED_SPAN)
            row = Row(row.partition, row.key, encode_instant(position), "")
        adapted.append(row)
    return adapted


async def write_rows(store: Store, table: str, rows: Sequence[Row]) -> None:
    """Write the rows, whether they exist or not. Raises StoreError."""
    results = await store.apply_each([[*group] for group in _split_into_groups(table, rows)])
    for result in results:
        if isinstance(result, StoreError):
            raise result


def _split_into_groups(table: str, rows: Sequence[Row]) -> Iterator[list[Upsert]]:
    for partition, together in groupby(rows, key=lambda row: row.partition):
        group: list[Upsert] = []
        size = 0
        for row in together:
            if group and (len(group) == MAX_ATOMIC_GROUP or size + len(row.body) > _GROUP_CHARACTERS):
                yield group
                group, size = [], 0
            group.append(Upsert(table, partition, row.key, row.body))
            size += len(row.body)
        yield group
