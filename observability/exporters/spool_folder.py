"""Requests as files of a folder, which several processes may share.

A file appears as a whole by a rename, so a process that is killed leaves no half of a request. A process locks the file
that it sends; the system releases the lock of a killed process. Nothing is synchronised with the disk: a killed process
loses nothing, a loss of power may cost the newest files.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
import stat
import sys
import time
from bisect import insort
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class SpooledRequest:
    """The body of a request, complete except for what is secret: headers are added when it is sent.

    `intake`: the part of the destination, such as `series` or `traces`; `items`: how many rows, points or entries the
    body has; `made_at` and `expires_at`: seconds since the epoch.
    """

    intake: str
    body: bytes
    items: int
    made_at: float
    expires_at: float


class ClaimedRequest(Protocol):
    """A request that no other thread or process sends meanwhile."""

    @property
    def request(self) -> SpooledRequest: ...

    def delete(self) -> None:
        """The request is finished: accepted, or rejected for good."""
        ...

    def release(self) -> None:
        """The request waits again."""
        ...


@dataclass(frozen=True, slots=True)
class RequestFile:
    """What the name of a file contains about its request, so that a folder can be read without opening files.

    Names sort by the time of the request, then by the number that its process gave it.
    """

    made_at_ms: int
    number: int
    process: str
    intake: str
    items: int
    size: int
    expires_at: int

    @property
    def name(self) -> str:
        order = f"{self.made_at_ms:015d}-{self.number:08x}-{self.process}"
        return f"{order}-{self.intake}-{self.items}-{self.size}-{self.expires_at}.request"


_NAME = re.compile(r"(\d{15})-([0-9a-f]{8})-([0-9a-f]+)-([a-z_]+)-(\d+)-(\d+)-(\d+)\.request")


def describe_file(request: SpooledRequest, number: int, process: str) -> RequestFile:
    """`process`: hexadecimal digits that no other process has."""
    made_at_ms, expires_at = int(request.made_at * 1000), int(request.expires_at)
    return RequestFile(
        made_at_ms, number & 0xFFFFFFFF, process, request.intake, request.items, len(request.body), expires_at
    )


def parse_file_name(name: str) -> RequestFile | None:
    """Return None for a file that is not a request."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    made_at_ms, number, process, intake, items, size, expires_at = found.groups()
    return RequestFile(int(made_at_ms), int(number, 16), process, intake, int(items), int(size), int(expires_at))


_SCAN_INTERVAL_S: Final = 10.0
"""How old the knowledge about files of other processes may be."""
_ABANDONED_AFTER_S: Final = 600.0
"""A file that is not renamed after this time was written by a process that was killed."""
_MAX_FILES: Final = 20_000


@dataclass(frozen=True, slots=True)
class _ClaimedFile:
    request: SpooledRequest
    file: RequestFile
    folder: SpoolFolder
    descriptor: int

    def delete(self) -> None:
        self.folder.remove_file(self.file)
        os.close(self.descriptor)

    def release(self) -> None:
        self.folder.restore(self.file)
        os.close(self.descriptor)


class SpoolFolder:
    """Not thread-safe: the spool has a lock."""

    def __init__(self, path: Path, max_size: int) -> None:
        """Raises OSError if the folder cannot be written, or is another user's."""
        self._path = path
        self._max_size = max_size
        self._process = secrets.token_hex(4)
        self._numbers = itertools.count()
        self._waiting: dict[str, list[RequestFile]] = defaultdict(list)
        self._size = 0
        self._claimed: set[str] = set()  # names
        _make_private_folder(path)
        self._scan()
        self._remove_abandoned()

    def put(self, request: SpooledRequest) -> int:
        """Write the request; return the number of items of the oldest ones that gave way. Raises OSError."""
        file = describe_file(request, next(self._numbers), self._process)
        _write_file(self._path, file.name, request.body)
        if time.monotonic() - self._scanned_at > _SCAN_INTERVAL_S:
            self._scan()
        else:
            insort(self._waiting[file.intake], file, key=lambda each: each.name)
            self._size += file.size
        return self._remove_excess()

    def claim_oldest(self, intake: str) -> _ClaimedFile | None:
        """Lock and read the oldest request of the intake. None: none waits, or other processes send them."""
        waiting = self._waiting[intake]
        while waiting:
            file = waiting.pop(0)
            if (descriptor := self._lock_file(file)) is None:
                self._size -= file.size
                continue
            body = _read_all(descriptor)
            if len(body) == file.size:
                made_at, expires_at = file.made_at_ms / 1000, float(file.expires_at)
                self._claimed.add(file.name)
                request = SpooledRequest(intake, body, file.items, made_at, expires_at)
                return _ClaimedFile(request, file, self, descriptor)
            # A loss of power has cut it off.
            self.remove_file(file)
            os.close(descriptor)
        return None

    def restore(self, file: RequestFile) -> None:
        self._claimed.discard(file.name)
        insort(self._waiting[file.intake], file, key=lambda each: each.name)

    def remove_file(self, file: RequestFile) -> None:
        self._claimed.discard(file.name)
        self._size -= file.size
        (self._path / file.name).unlink(missing_ok=True)

    def waiting_files(self, intake: str | None = None) -> list[RequestFile]:
        """Return the known files, of one intake or of all."""
        if intake is not None:
            return self._waiting[intake]
        return [file for files in self._waiting.values() for file in files]

    def _scan(self) -> None:
        self._scanned_at = time.monotonic()
        found = [file for name in os.listdir(self._path) if (file := parse_file_name(name)) is not None]
        self._waiting.clear()
        for file in sorted((file for file in found if file.name not in self._claimed), key=lambda each: each.name):
            self._waiting[file.intake].append(file)
        self._size = sum(file.size for file in found)

    def _remove_excess(self) -> int:
        waiting = self.waiting_files()
        if self._size <= self._max_size and len(waiting) <= _MAX_FILES:
            return 0
        lost = 0
        for position, file in enumerate(sorted(waiting, key=lambda each: each.name)):
            if self._size <= self._max_size and len(waiting) - position <= _MAX_FILES:
                break
            self._waiting[file.intake].remove(file)
            if (descriptor := self._lock_file(file)) is not None:
                lost += file.items
                self.remove_file(file)
                os.close(descriptor)
        return lost

    def _lock_file(self, file: RequestFile) -> int | None:
        """Return the descriptor of the locked file; None if another process has locked or deleted it."""
        try:
            descriptor = os.open(self._path / file.name, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return None
        # The owner of the lock may have deleted the file between the two calls.
        if _try_to_lock(descriptor) and os.fstat(descriptor).st_nlink > 0:
            return descriptor
        os.close(descriptor)
        return None

    def _remove_abandoned(self) -> None:
        """Remove what killed processes have not finished to write. Expired requests are dropped when they are due."""
        for entry in os.scandir(self._path):
            if entry.name.endswith(".new") and time.time() - entry.stat().st_mtime > _ABANDONED_AFTER_S:
                Path(entry.path).unlink(missing_ok=True)


def _make_private_folder(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "getuid") and found.st_uid not in (os.getuid(), 0)):
        raise PermissionError(f"{path} belongs to another user")
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(f"{path} is not writable")


def _write_file(folder: Path, name: str, body: bytes) -> None:
    unfinished = folder / f"{name}.new"
    try:
        descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
        unfinished.rename(folder / name)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read()


if sys.platform == "win32":

    def _try_to_lock(descriptor: int) -> bool:
        """Windows is for development only, with one process."""
        return True

else:

    def _try_to_lock(descriptor: int) -> bool:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
