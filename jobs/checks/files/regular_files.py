"""Read regular files of a bounded size. Called where a path comes from a job, a setting or a mounted folder.

Blocking: call it in a thread. It neither waits for a named pipe nor reads a device.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from jobs.checks.errors import FileTooLarge, NotRegularFile

FileSignature = tuple[int, ...]
"""Of a file's state; a different one means that the file may have changed."""


def require_regular_file(found: os.stat_result) -> None:
    """Raises NotRegularFile."""
    if not stat.S_ISREG(found.st_mode):
        raise NotRegularFile(is_folder=stat.S_ISDIR(found.st_mode))


def read_regular_file(
    path: str | Path, most: int, known: FileSignature = (), *, flags: int = 0
) -> tuple[bytes | None, FileSignature]:
    """Return a file's content and signature; None as its content if the signature is the known one.

    `most`: bytes. `flags`: of os.open, in addition to those that are needed.

    Raises:
        OSError, ValueError: it cannot be opened or read.
        NotRegularFile, FileTooLarge: it is not read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | flags)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        require_regular_file(found)
        signature = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if signature == known:
            return None, known
        content = file.read(most + 1)
    if len(content) > most:
        raise FileTooLarge
    return content, signature
