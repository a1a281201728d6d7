"""Makes a backup of a store while the program uses it; reads the file of one and verifies each line of it.

The lines of a file are a header, a line for each row, and a trailer with the number of rows of each table and the
SHA-256 of all lines before it (scheduler.features.backup.dump_file). A row that appears twice is damage as well: with
rows in ascending order the previous one is enough to find it, otherwise the places of all rows are needed. A place is
the partition and the key of a row.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

from jobs.problems import make_printable
from scheduler.features.backup.dump_file import (
    DUMP_FORMAT,
    DUMP_KIND,
    DumpFile,
    DumpHeader,
    DumpLines,
    DumpTrailer,
    LineDamaged,
    decode_line,
    decode_row,
    encode_fields,
    encode_row,
    open_dump_file,
)
from scheduler.features.backup.port import RowProgress
from scheduler.features.backup.tables import (
    TableDigest,
    TablePage,
    find_omitted_tables,
    is_included,
    read_included_tables,
)
from scheduler.stores.port import MAX_BODY, Row, StoreScan
from scheduler.stores.rows import ROW_SCHEMA, is_json
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
    """Return the next page as a coroutine, which asyncio.gather accepts; `anext` returns another awaitable."""
    return await anext(pages, None)


def _write_rows(file: DumpFile, digest: TableDigest, table: str, rows: Sequence[Row]) -> None:
    digest.add(rows)
    file.write(b"".join([encode_row(table, row) for row in rows]))


PAGE_ROWS = 2000
_END = "end"
"""A field that only the trailer has."""


class DumpReader:
    """One pass over the file. `trailer`: once all pages are read. Raises DumpDamaged, DumpFileError.

    Rows of a table that this program does not know are verified, and not returned: a newer program has made the backup.

    `unordered`: tables whose rows are not in ascending order, so that one could be doubled. `distinct`: tables of
    which the places of all rows are held, to find such a row.
    """

    def __init__(self, path: Path, distinct: Collection[str] = ()) -> None:
        self._lines = DumpLines(path)
        self._counts: Counter[str] = Counter()
        self._last: dict[str, tuple[str, str]] = {}
        """The place of the last row, by table."""
        self._distinct = distinct
        self._places: set[bytes] = set()
        """Digests of the places of the rows of `distinct`."""
        self.unordered: set[str] = set()
        self._digest = sha256()
        self._held: tuple[str, Row] | None = None
        """The first row of the next page, which was read to find the end of the table before it."""
        self.trailer: DumpTrailer | None = None
        try:
            self.header = self._read_header()
        except BaseException:
            self.close()
            raise

    async def read_pages(self) -> AsyncIterator[TablePage]:
        """Yield the rows, in pages of one table each."""
        while (page := await asyncio.to_thread(self.read_page)) is not None:
            yield page

    def read_page(self) -> TablePage | None:
        """Return the next rows; None after the last one, when the whole file is verified."""
        table_row = self._held or self._read_row()
        if table_row is None:
            return None
        table, row = table_row
        rows = [row]
        self._held = None
        while len(rows) < PAGE_ROWS and (table_row := self._read_row()) is not None:
            if table_row[0] != table:
                self._held = table_row
                break
            rows.append(table_row[1])
        return table, rows

    def close(self) -> None:
        self._lines.close()

    def _read_header(self) -> DumpHeader:
        line = self._lines.read_line()
        with self._naming_the_line():
            fields = decode_line(line) if line.startswith(b"{") else {}
            if fields.get("kind") != DUMP_KIND:
                raise LineDamaged("the file is not a backup of this program")
            form = fields.get("format")
            if type(form) is int and form > DUMP_FORMAT:
                raise LineDamaged(_describe_newer("format", form, DUMP_FORMAT, fields))
            header = DumpHeader.from_fields(fields)
            if header.reader_schema > ROW_SCHEMA:
                raise LineDamaged(_describe_newer("schema", header.reader_schema, ROW_SCHEMA, fields))
        self._digest.update(line)
        return header

    def _read_row(self) -> tuple[str, Row] | None:
        """Return the next table and row; None once the last line is read and right."""
        while self.trailer is None:
            found = self._read_any_row()
            if found is not None and is_included(found[0]):
                return found
        return None

    def _read_any_row(self) -> tuple[str, Row] | None:
        line = self._lines.read_line()
        if not line:
            raise self._lines.damaged(
                "the file is cut off: expected more lines, and a last one with the number of rows"
            )
        with self._naming_the_line():
            fields = decode_line(line)
            if _END in fields:
                self.trailer = self._check_trailer(DumpTrailer.from_fields(fields))
                return None
            table, row = decode_row(fields)
            if is_included(table):
                self._check_row(table, row)
        self._digest.update(line)
        return table, row

    def _check_row(self, table: str, row: Row) -> None:
        """Raise LineDamaged if no store accepts the row, no program can read it, or it is doubled."""
        if len(row.body) > MAX_BODY:
            raise LineDamaged(f"the row has {len(row.body)} characters, and a store accepts {MAX_BODY} at most")
        if row.body and not is_json(row.body):
            raise LineDamaged("the body of the row is not JSON")
        place = row.partition, row.key
        is_double, last = False, self._last.get(table)
        if table in self._distinct:
            known = len(self._places)
            self._places.add(_digest_place(table, row))
            is_double = len(self._places) == known
        if is_double or place == last:
            raise LineDamaged(f"the row is in the backup twice: {make_printable(str(place), 200)} of table {table}")
        if last is not None and place < last:
            self.unordered.add(table)
        self._last[table] = place
        self._counts[table] += 1

    def _check_trailer(self, trailer: DumpTrailer) -> DumpTrailer:
        if trailer.sha256 != self._digest.hexdigest():
            raise LineDamaged("lines are missing, doubled or replaced: the SHA-256 of all lines is another one")
        counts = {table: digest.rows for table, digest in trailer.tables.items() if is_included(table)}
        if counts != dict(self._counts):
            raise LineDamaged("the last line has other numbers of rows than the file")
        if self._lines.read_line():
            raise LineDamaged("expected the end of the file, got another line")
        return trailer

    @contextmanager
    def _naming_the_line(self) -> Iterator[None]:
        """Turn LineDamaged into DumpDamaged, which names the line."""
        try:
            yield
        except LineDamaged as error:
            raise self._lines.damaged(str(error)) from None


def _describe_newer(what: str, value: int, maximum: int, fields: Mapping[str, Any]) -> str:
    return (
        f"the backup has {what} {make_printable(str(value), 40)}, this program knows {maximum} at most: "
        f"restore it with version {make_printable(str(fields.get('program')), 40)} or a newer one"
    )


async def verify_dump(path: Path, progress: RowProgress) -> tuple[DumpHeader, DumpTrailer]:
    """Read the whole file. Raises DumpDamaged: the first thing that is wrong, with its line; DumpFileError.

    Rows in ascending order are not doubled: a snapshot is read once. Otherwise it is read again, with the places
    of the other tables' rows in memory (some 100 bytes a row).
    """
    reader = await _read_all(path, progress)
    if reader.unordered:
        reader = await _read_all(path, progress, reader.unordered)
    assert reader.trailer is not None, "the last page is read"
    return reader.header, reader.trailer


async def _read_all(path: Path, progress: RowProgress, distinct: Collection[str] = ()) -> DumpReader:
    reader = DumpReader(path, distinct)
    progress.begin("verifying", None)
    try:
        async for _, rows in reader.read_pages():
            progress.advance(len(rows))
    finally:
        reader.close()
    return reader


def _digest_place(table: str, row: Row) -> bytes:
    text = f"{len(table)} {len(row.partition)} {table}{row.partition}{row.key}"
    return blake2b(text.encode(), digest_size=16).digest()
