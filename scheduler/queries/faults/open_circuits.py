"""Finds the circuits that are not closed, or are overridden, among those of all jobs.

Called by scheduler.api.dashboard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from jobs.ports import Clock
from scheduler.queries.circuits import CircuitQueries, CircuitView

MAX_OPEN_CIRCUITS: Final = 50
"""Circuits that are described. Further ones are only counted."""
_SCAN_BATCH: Final = 500
"""Circuits that are read in one batch."""
_CACHE_FACTOR: Final = 20
"""A scan of all circuits is cached for this multiple of the time it took, so that it uses at most 1/20 of a core."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class OpenCircuitFinder:
    """One instance an app, because it caches keys. Its method raises StoreError."""

    def __init__(self, queries: CircuitQueries, clock: Clock) -> None:
        self._queries = queries
        self._clock = clock
        self._lock = asyncio.Lock()
        self._jobs: Sequence[str] = ()
        """A job of each circuit that the last scan found."""
        self._count = 0
        self._until = float("-inf")

    async def find(self) -> tuple[Sequence[CircuitView], int]:
        """Return up to MAX_OPEN_CIRCUITS circuits, the latest change first, and the number of all.

        Which circuits are meant is cached for a short time if there are many; their state is current.
        """
        async with self._lock:
            began = self._clock.monotonic()
            if began >= self._until:
                found = await self._scan()
                self._count = len(found)
                self._jobs = [view.jobs[0] for view in found[:MAX_OPEN_CIRCUITS]]
                ended = self._clock.monotonic()
                self._until = ended + _CACHE_FACTOR * (ended - began)
            jobs, count = self._jobs, self._count
        views = await self._queries.circuits_of_jobs(jobs)
        current = [view for view in views.values() if is_unusual(view)]
        return _latest_first(current), count - (len(jobs) - len(current))

    async def _scan(self) -> Sequence[CircuitView]:
        found: list[CircuitView] = []
        after: str | None = ""
        while after is not None:
            page = await self._queries.list_circuits(limit=_SCAN_BATCH, after=after)
            found += [view for view in page.circuits if is_unusual(view)]
            after = page.continuation
        return _latest_first(found)


def is_unusual(view: CircuitView) -> bool:
    """Return whether the circuit is open or half-open, or an operator overrides it."""
    return view.state != "closed"


def _latest_first(views: Sequence[CircuitView]) -> list[CircuitView]:
    return sorted(views, key=lambda view: view.since or _NEVER, reverse=True)
