"""Determines whether and since when a job is up or down, and caches its uptime.

Called by scheduler.features.jobs.job_page.

"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from jobs.ports import Clock
from jobs.runs import Run
from scheduler.features.jobs.queries import JobAndRunQueries
from scheduler.features.runs.queries import Outage, OutageReader
from scheduler.features.statistics.uptime import JobUptime, UptimeReader

_FIRST, _MORE = 20, 200
"""Runs in the first read, and in a second one, to find since when a job is up."""
_CACHE_FACTOR = 20
"""An uptime is cached for this multiple of the time it took, so that an open page uses at most 1/20 of a core."""
_MAX_CACHED_UPTIMES = 100
"""Uptimes in the cache."""


@dataclass(frozen=True, slots=True)
class JobAvailability:
    """Whether a job is up according to its runs; `unknown` before the first run that counts.

    `whole`: a run with the opposite result precedes `since`. Otherwise `since` is the oldest run that was read.
    """

    state: Literal["up", "down", "unknown"]
    since: datetime | None = None
    whole: bool = False
    outage: Outage | None = None


class AvailabilityReader:
    """One instance an app, because it caches results. All methods raise StoreError."""

    def __init__(self, queries: JobAndRunQueries, uptimes: UptimeReader, outages: OutageReader, clock: Clock) -> None:
        self._queries = queries
        self._uptimes = uptimes
        self._outages = outages
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: dict[str, tuple[float, JobUptime]] = {}

    async def read_availability(self, job: str) -> JobAvailability:
        """Return the current availability of a job."""
        outage = await self._outages.find_outage(job)
        if outage is not None:
            return JobAvailability("down", outage.since, outage.whole, outage)
        return await self._read_up(job)

    async def read_uptime(self, job: str) -> JobUptime:
        """Return the uptime of a job, possibly cached. Raises UnknownJob."""
        async with self._lock:
            began = self._clock.monotonic()
            until, known = self._known.get(job, (float("-inf"), None))
            if known is not None and began < until:
                return known
            uptime = await self._uptimes.read_uptime(job)
            ended = self._clock.monotonic()
            self._known.pop(job, None)
            self._known[job] = ended + _CACHE_FACTOR * (ended - began), uptime
            if len(self._known) > _MAX_CACHED_UPTIMES:
                del self._known[next(iter(self._known))]
            return uptime

    async def _read_up(self, job: str) -> JobAvailability:
        page = await self._queries.list_runs(job=job, limit=_FIRST)
        oldest, whole = _find_oldest_up([record.run for record in page.records])
        if oldest is not None and not whole and page.continuation is not None:
            page = await self._queries.list_runs(job=job, limit=_MORE, continuation=page.continuation)
            older, whole = _find_oldest_up([record.run for record in page.records])
            oldest = older or oldest
        return JobAvailability("unknown") if oldest is None else JobAvailability("up", oldest.started_at, whole)


def _find_oldest_up(runs: list[Run | None]) -> tuple[Run | None, bool]:
    """Return the oldest of the runs (newest first) since the job is up, and whether a run that was down precedes it."""
    oldest: Run | None = None
    for run in runs:
        if run is None or not run.counts_for_availability:
            continue
        if run.outcome.down:
            return oldest, True
        oldest = run
    return oldest, False
