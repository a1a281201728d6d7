"""Makes a backup of a store while the program uses it. Called by scheduler.cli."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path

from scheduler.backup.progress import RowProgress
from scheduler.backup.records import DumpHeader, DumpTrailer, encode_fields, encode_row
from scheduler.backup.sources import find_omitted_tables, read_included_tables
from scheduler.backup.stored_tables import is_included
from scheduler.backup.table_digests import TableDigest
from scheduler.backup.writing import DumpFile, open_dump_file
from scheduler.stores.port import Row, StoreScan
from scheduler.version import VERSION


async def create_backup(
    scan: StoreScan, path: Path, source: str, now: Callable[[], datetime], progress: RowProgress
) -> tuple[DumpHeader, DumpTrailer]:
    """Write all rows of the store to a file. `source`: the kind of the store. Raises StoreError, DumpFileError."""
    existing = await scan.count_rows()
    schema = await scan.read_schema()
    header = DumpHeader(VERSION, now(), source, scan.is_snapshot, find_omitted_tables(existing), schema)
    counts = [count for table, count in existing.items() if is_included(table)]
    progress.begin("writing", None if None in counts else sum(count or 0 for count in counts))
    tables: dict[str, TableDigest] = {}
    with open_dump_file(path) as file:
        file.write(encode_fields(header.to_fields()))
        pages = read_included_tables(scan, existing)
        page = await anext(pages, None)
        while page is not None:
            table, rows = page
            digest = tables.setdefault(table, TableDigest())
            # The next page is read while this one is compressed.
            page, _ = await asyncio.gather(_next(pages), asyncio.to_thread(_write_rows, file, digest, table, rows))
            progress.advance(len(rows))
        trailer = DumpTrailer(now(), tables, file.sha256)
        file.write(encode_fields(trailer.to_fields()))
    return header, trailer


async def _next(pages: AsyncIterator[tuple[str, Sequence[Row]]]) -> tuple[str, Sequence[Row]] | None:
    return await anext(pages, None)


def _write_rows(file: DumpFile, digest: TableDigest, table: str, rows: Sequence[Row]) -> None:
    digest.add(rows)
    file.write(b"".join([encode_row(table, row) for row in rows]))
