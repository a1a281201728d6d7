"""The lines of a backup: a header, a line for each row, a trailer. Pure; used by scheduler.backup.

Each line is a JSON object that ends with `crc`, the CRC-32 of the bytes before it, so that damage is found in its line.
The trailer has the number of rows and the SHA-256 of all lines before it, so that a missing line or end is found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from json.encoder import encode_basestring
from typing import Any
from zlib import crc32

from jobs.formats.instants import format_iso_instant, parse_instant
from jobs.problems import make_printable
from scheduler.backup.table_digests import TableDigest
from scheduler.stores.port import Row
from scheduler.stores.rows import READER_SCHEMA, ROW_SCHEMA, decode_json

DUMP_FORMAT = 1
"""Increases when a program that knows the former one cannot read the new one."""
DUMP_KIND = "scheduler-backup"
_CRC_MARK = b',"crc":"'
_LINE_END = b'"}\n'
_MAX_NUMBER = 10**12


class LineDamaged(ValueError):
    """The message reports what is wrong."""


@dataclass(frozen=True, slots=True)
class DumpHeader:
    """`is_snapshot`: all rows are of the instant `started_at`; otherwise each is of an instant after it.

    `reader_schema`: the oldest schema whose programs can use the rows. `omitted`: tables of the store that the dump
    does not contain, and why.
    """

    program: str
    started_at: datetime
    source: str
    is_snapshot: bool
    omitted: Mapping[str, str] = field(default_factory=dict)
    schema: int = ROW_SCHEMA
    reader_schema: int = READER_SCHEMA
    format: int = DUMP_FORMAT

    def to_fields(self) -> dict[str, Any]:
        return {
            "kind": DUMP_KIND,
            "format": self.format,
            "program": self.program,
            "schema": self.schema,
            "reader_schema": self.reader_schema,
            "started_at": format_iso_instant(self.started_at, precise=True),
            "source": self.source,
            "snapshot": self.is_snapshot,
            "omitted": dict(self.omitted),
        }

    @staticmethod
    def from_fields(fields: Mapping[str, Any]) -> DumpHeader:
        """Raises LineDamaged."""
        try:
            return DumpHeader(
                program=str(fields["program"]),
                started_at=parse_instant(fields["started_at"]),
                source=str(fields["source"]),
                is_snapshot=bool(fields["snapshot"]),
                omitted=dict(fields["omitted"]),
                schema=_parse_number(fields, "schema"),
                reader_schema=_parse_number(fields, "reader_schema"),
                format=_parse_number(fields, "format"),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LineDamaged(f"the header lacks a field, or has a wrong one: {error}") from None


@dataclass(frozen=True, slots=True)
class DumpTrailer:
    """`sha256` of the lines before it, newlines included."""

    ended_at: datetime
    tables: Mapping[str, TableDigest]
    sha256: str

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())

    def to_fields(self) -> dict[str, Any]:
        tables = {name: {"rows": table.rows, "content": table.text} for name, table in self.tables.items()}
        ended_at = format_iso_instant(self.ended_at, precise=True)
        return {"end": DUMP_KIND, "ended_at": ended_at, "rows": self.rows, "tables": tables, "sha256": self.sha256}

    @staticmethod
    def from_fields(fields: Mapping[str, Any]) -> DumpTrailer:
        """Raises LineDamaged."""
        try:
            tables = {
                str(name): TableDigest.from_text(_parse_number(table, "rows"), table["content"])
                for name, table in fields["tables"].items()
            }
            return DumpTrailer(parse_instant(fields["ended_at"]), tables, str(fields["sha256"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LineDamaged(f"the last line lacks a field, or has a wrong one: {error}") from None


def _parse_number(fields: Mapping[str, Any], name: str) -> int:
    """Return a whole number that a program can have written. Raises KeyError, ValueError."""
    value = fields[name]
    if type(value) is not int or not 0 <= value <= _MAX_NUMBER:
        shown = make_printable(repr(value), 40)
        raise ValueError(f"{name} must be a whole number from 0 to {_MAX_NUMBER}, not {shown}")
    return value


def encode_fields(fields: Mapping[str, Any]) -> bytes:
    """Return the line of a header or trailer."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return _seal(text[:-1].encode())


def encode_row(table: str, row: Row) -> bytes:
    """Return the line of a row."""
    texts = encode_basestring(row.partition), encode_basestring(row.key), encode_basestring(row.body)
    return _seal('{{"table":"{}","partition":{},"key":{},"body":{}'.format(table, *texts).encode())


def _seal(content: bytes) -> bytes:
    return b'%b,"crc":"%08x"}\n' % (content, crc32(content))


def decode_line(line: bytes) -> Mapping[str, Any]:
    """Return the fields of a line. Raises LineDamaged."""
    content, mark, checksum = line.rpartition(_CRC_MARK)
    if not mark or not checksum.endswith(_LINE_END):
        raise LineDamaged("it has no checksum at its end")
    if checksum[: -len(_LINE_END)] != b"%08x" % crc32(content):
        raise LineDamaged("its content does not match its checksum")
    try:
        fields = decode_json(content.decode() + "}")
    except ValueError as error:
        raise LineDamaged(f"it is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise LineDamaged("it is not an object")
    return fields


def decode_row(fields: Mapping[str, Any]) -> tuple[str, Row]:
    """Return the table and the row of a line. Raises LineDamaged."""
    values = [fields.get(name) for name in ("table", "partition", "key", "body")]
    if not all(isinstance(value, str) for value in values):
        raise LineDamaged("it is neither a row nor the last line")
    table, partition, key, body = map(str, values)
    return table, Row(partition, key, body, "")
