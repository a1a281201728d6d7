"""The requests of one exporter until their destination accepts them: on disk, or in memory without a writable folder.

The methods of Spool may be called from any thread.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from observability.exporters.background import SpoolState
from observability.exporters.spool_folder import ClaimedRequest, SpooledRequest, SpoolFolder

if TYPE_CHECKING:
    from config.settings.model import Settings


@dataclass(frozen=True, slots=True)
class _MemoryClaim:
    request: SpooledRequest
    waiting: deque[SpooledRequest]

    def delete(self) -> None:
        pass

    def release(self) -> None:
        self.waiting.appendleft(self.request)


class RequestMemory:
    """Not thread-safe: the spool has a lock."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._waiting: dict[str, deque[SpooledRequest]] = {}

    def put(self, request: SpooledRequest) -> int:
        """Return the number of items of the oldest ones that gave way."""
        self._waiting.setdefault(request.intake, deque()).append(request)
        lost = 0
        while self.size > self._max_size and len(self.requests()) > 1:
            oldest = min((queue for queue in self._waiting.values() if queue), key=lambda queue: queue[0].made_at)
            lost += oldest.popleft().items
        return lost

    def claim_oldest(self, intake: str) -> _MemoryClaim | None:
        waiting = self._waiting.get(intake)
        return _MemoryClaim(waiting.popleft(), waiting) if waiting else None

    def requests(self, intake: str | None = None) -> list[SpooledRequest]:
        """Return what waits, for one intake or for all."""
        if intake is not None:
            return list(self._waiting.get(intake, ()))
        return [request for queue in self._waiting.values() for request in queue]

    @property
    def size(self) -> int:
        return sum(len(request.body) for request in self.requests())


_log = logging.getLogger("observability.exporters")

MAX_MEMORY_SIZE: Final = 16 * 1024 * 1024
"""Bytes of requests that are retained in memory."""


class Spool:
    """`folder`: None, if there is no writable one, for the reason in `problem`."""

    def __init__(self, folder: SpoolFolder | None = None, problem: str = "") -> None:
        self._folder = folder
        self._memory = RequestMemory(MAX_MEMORY_SIZE)
        self._problem = problem
        self._lock = threading.Lock()

    def put(self, request: SpooledRequest) -> int:
        """Retain the request. Return the number of items of the oldest requests that had to give way."""
        with self._lock:
            if self._folder is not None:
                try:
                    lost = self._folder.put(request)
                except OSError as error:
                    self._report_problem(f"{type(error).__name__}: {error}")
                else:
                    self._problem = ""
                    return lost
            return self._memory.put(request)

    def claim_oldest(self, intake: str) -> ClaimedRequest | None:
        """Take the oldest request of an intake; no other process sends it meanwhile. None: nothing waits."""
        with self._lock:
            claim: ClaimedRequest | None = None if self._folder is None else self._folder.claim_oldest(intake)
            claim = claim or self._memory.claim_oldest(intake)
            return None if claim is None else _LockedClaim(claim, self._lock)

    def has_requests(self, intake: str) -> bool:
        with self._lock:
            on_disk = self._folder is not None and bool(self._folder.waiting_files(intake))
            return on_disk or bool(self._memory.requests(intake))

    def state(self) -> SpoolState:
        with self._lock:
            files = [] if self._folder is None else self._folder.waiting_files()
            held = self._memory.requests()
            instants = [file.made_at_ms / 1000 for file in files] + [request.made_at for request in held]
            size = sum(file.size for file in files) + self._memory.size
            oldest = datetime.fromtimestamp(min(instants), UTC) if instants else None
            return SpoolState(len(instants), size, oldest, self._problem)

    def count_volatile_items(self) -> int:
        """Return the number of items that end with the process, because they are in memory."""
        with self._lock:
            return sum(request.items for request in self._memory.requests())

    def _report_problem(self, problem: str) -> None:
        if not self._problem:
            _log.warning("could not write telemetry to disk: %s; it is retained in memory", problem)
        self._problem = problem


@dataclass(frozen=True, slots=True)
class _LockedClaim:
    """A claim that ends under the lock of the spool."""

    claim: ClaimedRequest
    lock: threading.Lock

    @property
    def request(self) -> SpooledRequest:
        return self.claim.request

    def delete(self) -> None:
        with self.lock:
            self.claim.delete()

    def release(self) -> None:
        with self.lock:
            self.claim.release()


def open_spool(settings: Settings, exporter: str, destination: str) -> Spool:
    """Open the folder of the exporter; without a writable one the spool is in memory.

    `destination`: what identifies it. Requests for another one, of earlier settings, stay in their own folder.
    """
    digest = hashlib.sha256(destination.encode()).hexdigest()[:8]
    path = find_spool_folder(settings) / f"{exporter}-{digest}"
    try:
        return Spool(SpoolFolder(path, int(settings.telemetry.spool.max_size)))
    except OSError as error:
        problem = f"{type(error).__name__}: {error}"
        _log.warning("could not open a folder for telemetry that waits: %s; it is retained in memory", problem)
        return Spool(problem=problem)


def find_spool_folder(settings: Settings) -> Path:
    """Return the folder of the settings, or one next to the SQLite file, or one below the temporary folder."""
    if settings.telemetry.spool.folder is not None:
        return settings.telemetry.spool.folder
    if settings.sqlite_path is not None:
        return settings.sqlite_path.parent / "telemetry"
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"scheduler-telemetry-{user}"
