"""Finds the jobs that are down, since when and why. Called by scheduler.api.dashboard.overview and
scheduler.api.dashboard.jobs.job_availability.

A job is down if its newest run that counts is down. Skipped and cancelled runs and backfills do not count.
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
"""Outages that are described. Further ones are only counted."""

_SCAN_BATCH = 100
"""Jobs whose latest runs are read in one batch."""
_CACHE_FACTOR = 20
"""A scan of all jobs is cached for this multiple of the time it took, so that it uses at most 1/20 of a core."""
_FIRST, _STEP, _LOOK_BACK = 20, 200, 2000
"""Runs in the first read, in each further read, and in total, to find the start of an outage."""


@dataclass(frozen=True, slots=True)
class Outage:
    """The consecutive runs of a job that are down, up to the newest one.

    `whole`: a run that succeeded precedes them. Otherwise the runs that were read start with the outage.
    `last_checked`: the newest run that contacted the target, which has the cause. None if the circuit rejected all of
    them.
    """

    newest: Run
    oldest: Run
    last_checked: Run | None
    whole: bool

    @property
    def since(self) -> datetime:
        return self.oldest.started_at


@dataclass(frozen=True, slots=True)
class DownJobs:
    """All jobs that are down. `outages`: latest start first, so that an old outage does not hide a new one.

    `count` can exceed the number of outages. `job_names`: all jobs that are down, sorted.
    """

    outages: tuple[Outage, ...] = ()
    count: int = 0
    job_names: tuple[str, ...] = ()


class OutageTracker:
    """One instance an app, because it caches outages."""

    def __init__(self, queries: JobAndRunQueries, clock: Clock) -> None:
        self._queries = queries
        self._clock = clock
        self._lock = asyncio.Lock()
        self._down = DownJobs()
        self._until = float("-inf")
        self._known: dict[str, Outage] = {}

    async def current(self) -> DownJobs:
        """Return the jobs that are down, cached for a short time if there are many jobs. Raises StoreError."""
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
        """Return the current outage of a job; None if it is not down. Raises StoreError."""
        outage = await self._read_outage(name)
        if outage is not None:
            self._known[name] = outage  # the next scan does not search for its start again
        return outage

    async def _read_outage(self, name: str) -> Outage | None:
        """Return the outage of a job; None if it is not down."""
        page = await self._queries.list_runs(job=name, limit=_FIRST)
        outage = _extend_outage(None, page.records)
        if outage is None or outage.whole:
            return outage
        known = self._known.get(name)
        if known is not None and known.newest.due_at >= outage.oldest.due_at:
            # The known outage continues: no run between the two is unread.
            return replace(known, newest=outage.newest, last_checked=outage.last_checked or known.last_checked)
        runs_read = _FIRST
        while not outage.whole and page.continuation is not None and runs_read < _LOOK_BACK:
            page = await self._queries.list_runs(job=name, limit=_STEP, continuation=page.continuation)
            outage = _extend_outage(outage, page.records) or outage
            runs_read += _STEP
        return outage


def _extend_outage(outage: Outage | None, records: Iterable[RunRecord]) -> Outage | None:
    """Extend an outage by older runs, newest first, up to one that succeeded."""
    for record in records:
        run = record.run
        if run is None or not run.counts_for_availability:
            continue
        if not run.outcome.down:
            return outage if outage is None else replace(outage, whole=True)
        last_checked = None if run.outcome is Outcome.REJECTED else run
        if outage is None:
            outage = Outage(run, run, last_checked, whole=False)
        else:
            outage = replace(outage, oldest=run, last_checked=outage.last_checked or last_checked)
    return outage
