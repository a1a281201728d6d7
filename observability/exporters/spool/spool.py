"""The requests of one exporter until their destination accepts them: on disk, or in memory without a writable folder.

Built by observability.exporters.spool.opening, used by the deliveries. Its methods may be called from any thread.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from observability.exporters.port import SpoolState
from observability.exporters.spool.folder import SpoolFolder
from observability.exporters.spool.memory import RequestMemory
from observability.exporters.spool.request import ClaimedRequest, SpooledRequest

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
