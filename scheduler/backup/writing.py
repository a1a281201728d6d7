"""Writes the file of a backup: complete under its name, or not at all. Used by scheduler.backup.creating."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from scheduler.backup.errors import DumpFileError

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
