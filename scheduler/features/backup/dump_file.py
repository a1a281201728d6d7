"""The file of a backup: its lines, how it is written, and how it is decompressed.

The lines are a header, a line for each row, a trailer. Each line is a JSON object that ends with `crc`, the CRC-32 of
the bytes before it, so that damage is found in its line. The trailer has the number of rows and the SHA-256 of all
lines before it, so that a missing line or end is found. A file is complete under its name, or does not exist.
"""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from json.encoder import encode_basestring
from pathlib import Path
from typing import IO, Any, Protocol
from zlib import crc32

from jobs.formats import format_iso_instant, parse_instant
from jobs.problems import make_printable
from scheduler.features.backup.port import DumpDamaged, DumpFileError
from scheduler.features.backup.tables import TableDigest
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
        """Return the header of the first line. Raises LineDamaged."""
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
        """Return the trailer of the last line. Raises LineDamaged."""
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


COMPRESSION_LEVEL = 3
"""Of gzip. Level 6 takes twice the time for a file that is a tenth smaller."""
_PRIVATE = 0o600
"""The file has addresses of targets and hashes of keys: it is for its owner alone."""


class _Output(Protocol):
    def write(self, content: bytes, /) -> object: ...


class DumpFile:
    """The open file. Raises DumpFileError."""

    def __init__(self, path: Path, output: _Output) -> None:
        self._path = path
        self._output = output
        self._digest = sha256()

    @property
    def sha256(self) -> str:
        """Of all that was written, before compression."""
        return self._digest.hexdigest()

    def write(self, content: bytes) -> None:
        self._digest.update(content)
        try:
            self._output.write(content)
        except OSError as error:
            raise file_error(self._path, "written", error) from error


@contextmanager
def open_dump_file(path: Path) -> Iterator[DumpFile]:
    """Write to a file next to `path`, which gets its name at the end. A name that ends with `.gz` is compressed.

    An error leaves nothing behind, and a file that had the name unchanged. Raises DumpFileError.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        raw = os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE), "wb")
    except OSError as error:
        raise file_error(path, "written", error) from error
    try:
        with raw:
            if path.suffix == ".gz":
                # Without a time, so that equal content gives equal files.
                with gzip.GzipFile("", "wb", COMPRESSION_LEVEL, raw, mtime=0) as packed:
                    yield DumpFile(path, packed)
            else:
                yield DumpFile(path, raw)
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(partial, path)
        sync_folder(path)
    except OSError as error:
        raise file_error(path, "written", error) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def sync_folder(path: Path) -> None:
    """Write the folder of a file to the disk, with the file's name."""
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def file_error(path: Path, action: str, error: OSError) -> DumpFileError:
    advice = {
        errno.ENOSPC: ": free some space, or name a file on another disk",
        errno.ENOENT: ": its folder does not exist",
        errno.EACCES: ": check the owner and mode of its folder",
    }
    why = f"{error.strerror or error}{advice.get(error.errno or 0, '')}"
    return DumpFileError(f"file {path} could not be {action}: {why}")


_MAX_LINE_BYTES = 8_000_000
"""A body has 900,000 characters at most, and each takes six bytes at most."""
_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER_BYTES = 1 << 20


class DumpLines:
    """`number`: of the last line that was read, from 1 on. Raises DumpDamaged, DumpFileError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.number = 0
        if path.exists() and not path.is_file():
            # A named pipe would not answer, and cannot be read twice.
            raise DumpFileError(f"file {path} could not be read: it is not a regular file")
        try:
            self._raw = path.open("rb")
            is_packed = self._raw.read(2) == _GZIP_MAGIC
            self._raw.seek(0)
        except OSError as error:
            raise file_error(path, "read", error) from error
        self._lines: IO[bytes] | io.BufferedReader = (
            io.BufferedReader(gzip.GzipFile(fileobj=self._raw), _BUFFER_BYTES) if is_packed else self._raw
        )

    def read_line(self) -> bytes:
        """Return the next line with its newline; b"" after the last one."""
        self.number += 1
        try:
            line = self._lines.readline(_MAX_LINE_BYTES)
        except EOFError:
            raise self.damaged("the compressed file is cut off") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self.damaged(f"the compressed data is damaged here or shortly after: {error}") from None
        except OSError as error:
            raise file_error(self._path, "read", error) from error
        if line and not line.endswith(b"\n"):
            raise self.damaged("the line is cut off" if len(line) < _MAX_LINE_BYTES else "the line is too long")
        return line

    def damaged(self, why: str) -> DumpDamaged:
        """Return the error for the last line."""
        return DumpDamaged(f"{self._path}: line {self.number}: {why}")

    def close(self) -> None:
        self._lines.close()
        self._raw.close()
