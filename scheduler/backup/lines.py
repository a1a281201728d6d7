"""The lines of a backup's file, decompressed. Used by scheduler.backup.reading."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import IO

from scheduler.backup.errors import DumpDamaged, DumpFileError
from scheduler.backup.writing import file_error

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
