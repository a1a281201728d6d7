"""Which of all jobs are down, since when and why. Called by scheduler.api.dashboard.overview.

A job is down if the newest of its runs that tells (skipped and cancelled ones and backfills do not) says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from jobs.ports import Clock
from jobs.runs import Outcome, Run
from scheduler.queries.jobs_and_runs import JobAndRunQueries
from scheduler.stores.runs.repository import RunRecord

MAX_DESCRIBED_OUTAGES = 50
"""Outages that are told; of all others only their number."""

_SCAN_BATCH = 100
"""Jobs looked at in a row, before others get their turn."""
_CACHE_FACTOR = 20
"""A look at all jobs is kept for so many times as long as it took: who watches takes a twentieth of a core at most."""
_FIRST, _STEP, _LOOK_BACK = 20, 200, 2000
"""Runs read at first, then at a time, and at most, to find the beginning of an outage."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Runs of a job that were down one after the other, up to now.

    `whole`: a run that succeeded came before them. Without it history, or what was read of it, begins with the outage.
    `asked`: the newest one that asked the target, so it knows why. None if the circuit was open all the while.
    """

    newest: Run
    oldest: Run
    asked: Run | None
    whole: bool

    @property
    def since(self) -> datetime:
        return self.oldest.started_at


@dataclass(frozen=True, slots=True)
class DownJobs:
    """Those that began last come first: one that lasts for weeks must not hide what broke now.

    `count` may be more than are described; `names` are those of all jobs that are down, in order.
    """

    outages: tuple[Outage, ...] = ()
    count: int = 0
    job_names: tuple[str, ...] = ()


class OutageTracker:
    """Made once an app: it remembers what it found out."""

    def __init__(self, queries: JobAndRunQueries, clock: Clock) -> None:
        self._queries = queries
        self._clock = clock
        self._lock = asyncio.Lock()
        self._down = DownJobs()
        self._until = float("-inf")
        self._known: dict[str, Outage] = {}

    async def current(self) -> DownJobs:
        """As of now, or as of a moment ago if there are very many jobs. Raises StoreError."""
        async with self._lock:
            began = self._clock.monotonic()
            if began >= self._until:
                self._down = await self._scan()
                ended = self._clock.monotonic()
                self._until = ended + _CACHE_FACTOR * (ended - began)
            return self._down

    async def _scan(self) -> DownJobs:
        names = self._queries.job_names()
        found: dict[str, Outage] = {}
        others: list[str] = []
        for start in range(0, len(names), _SCAN_BATCH):
            latest = await self._queries.latest_runs(names[start : start + _SCAN_BATCH])
            for name, record in latest.items():
                if record.run is None or record.run.outcome is Outcome.SUCCEEDED:
                    continue
                if record.run.outcome.down and len(found) >= MAX_DESCRIBED_OUTAGES:
                    others.append(name)
                elif (outage := await self._read_outage(name)) is not None:
                    found[name] = outage
        self._known = found
        newest_first = sorted(found.values(), key=lambda outage: outage.since, reverse=True)
        return DownJobs(
            tuple(newest_first[:MAX_DESCRIBED_OUTAGES]), len(found) + len(others), tuple(sorted([*found, *others]))
        )

    async def find_outage(self, name: str) -> Outage | None:
        """The outage of one job, as of now; None if it is not down. Raises StoreError."""
        outage = await self._read_outage(name)
        if outage is not None:
            self._known[name] = outage  # the next look need not go back to its beginning again
        return outage

    async def _read_outage(self, name: str) -> Outage | None:
        """None if the job is not down."""
        page = await self._queries.list_runs(job=name, limit=_FIRST)
        outage = _extend_outage(None, page.records)
        if outage is None or outage.whole:
            return outage
        known = self._known.get(name)
        if known is not None and known.newest.due_at >= outage.oldest.due_at:
            # No run in between that we have not seen.
            return replace(known, newest=outage.newest, asked=outage.asked or known.asked)
        looked = _FIRST
        while not outage.whole and page.continuation is not None and looked < _LOOK_BACK:
            page = await self._queries.list_runs(job=name, limit=_STEP, continuation=page.continuation)
            outage = _extend_outage(outage, page.records) or outage
            looked += _STEP
        return outage


def _extend_outage(outage: Outage | None, records: Iterable[RunRecord]) -> Outage | None:
    """The outage with older runs, newest first, up to the one that succeeded."""
    for record in records:
        run = record.run
        if run is None or not run.counts_for_availability:
            continue
        if not run.outcome.down:
            return outage if outage is None else replace(outage, whole=True)
        asked = None if run.outcome is Outcome.REJECTED else run
        if outage is None:
            outage = Outage(run, run, asked, whole=False)
        else:
            outage = replace(outage, oldest=run, asked=outage.asked or asked)
    return outage
