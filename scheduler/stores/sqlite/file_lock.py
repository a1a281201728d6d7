"""Prevents two schedulers from using the same file. Acquired when the SQLite store is opened for writing.

With its process id the owner writes the address of its API, for commands that show the address.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


class FileLock:
    """A lock on `<file>.lock`, which contains the owner's process id. The system releases it when the owner dies."""

    def __init__(self, path: Path) -> None:
        self._path = lock_path(path)
        self._file = -1

    def acquire(self, timeout: float) -> bool:
        """Return False if another process holds it for longer than `timeout` seconds. Blocks.

        Raises OSError if the lock file cannot be written.
        """
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        end = time.monotonic() + timeout
        while not _lock(file):
            if time.monotonic() >= end:
                os.close(file)
                return False
            time.sleep(0.02)
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file
        return True

    def read_owner(self) -> str:
        """Return the process id of the owner."""
        return self._path.read_text(encoding="ascii", errors="replace").partition("\n")[0].strip() or "unknown"

    def release(self) -> None:
        """Release the lock. The file stays: after removing it, two processes could lock two different files of one
        name.
        """
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def lock_path(path: Path) -> Path:
    """Return the lock file of a store's file."""
    return path.with_name(f"{path.name}.lock")


def write_api_address(path: Path, address: str) -> None:
    """Write the API address of this process, which holds the lock of the file at `path`. Raises OSError."""
    lock_path(path).write_text(f"{os.getpid()}\n{address}\n", encoding="ascii")


def read_api_address(path: Path) -> str | None:
    """Return the API address of the lock's owner; None if there is no owner, or if it has not written one."""
    try:
        owner, address = lock_path(path).read_text(encoding="ascii").splitlines()[:2]
        os.kill(int(owner), 0)
    except PermissionError:
        pass  # it runs as another user
    except (OSError, ValueError):
        return None
    return address


if sys.platform == "win32":

    def _lock(file: int) -> bool:
        """Windows is for development only; SQLite's own locks keep the file whole there."""
        return True

else:

    def _lock(file: int) -> bool:
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
