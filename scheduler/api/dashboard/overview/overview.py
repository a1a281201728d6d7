"""Reads the data of the overview page. Called by scheduler.api.dashboard."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from jobs.runs import Run, Trigger
from scheduler.api.dashboard.jobs.outages import DownJobs, OutageTracker
from scheduler.catalog.catalog import UnknownJob
from scheduler.errors import OperationError
from scheduler.queries.circuits import CircuitQueries, CircuitView
from scheduler.queries.heartbeats import HeartbeatQueries, HeartbeatView
from scheduler.queries.jobs_and_runs import JobAndRunQueries, JobView
from scheduler.stores.runs.repository import RunRecord

JOBS_PER_PAGE = 50
"""Jobs listed on a page."""
RECENT_RUNS = 20
"""Runs in the strip of a job, and in the list of the newest runs of all jobs."""
MAX_OUTAGE_CARDS = 4
"""Outages described above the table of jobs. A link leads to the others."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job of the page. `recent`: its finished runs without backfills, oldest first."""

    view: JobView
    recent: tuple[Run, ...]
    heartbeat: HeartbeatView | None = None
    circuit: CircuitView | None = None


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """`rows` are jobs `before + 1` to `before + len(rows)` of `total`; with `only_down`, of the jobs that are down.

    `jobs`: number of all jobs.
    """

    down: DownJobs
    rows: tuple[JobRow, ...]
    before: int
    total: int
    continuation: str | None
    newest: tuple[RunRecord, ...]
    jobs: int
    only_down: bool = False


class OverviewReader:
    """One instance an app."""

    def __init__(
        self, queries: JobAndRunQueries, heartbeats: HeartbeatQueries, circuits: CircuitQueries, outages: OutageTracker
    ) -> None:
        self._queries = queries
        self._heartbeats = heartbeats
        self._circuits = circuits
        self._outages = outages

    async def read_page(self, after: str, *, only_down: bool = False) -> OverviewPage:
        """Return the page of jobs after `after`; `only_down`: only jobs that are down. Raises StoreError."""
        down, newest = await asyncio.gather(self._outages.current(), self._queries.list_runs(limit=RECENT_RUNS))
        jobs = await self._queries.list_jobs(
            limit=JOBS_PER_PAGE, after=after, among=down.job_names if only_down else None
        )
        circuits = await self._circuits.circuits_of_jobs([view.entry.job.name for view in jobs.jobs])
        rows = await asyncio.gather(*(self._read_row(view, circuits.get(view.entry.job.name)) for view in jobs.jobs))
        count = len(self._queries.job_names())
        return OverviewPage(
            down, tuple(rows), jobs.before, jobs.total, jobs.continuation, newest.records, count, only_down=only_down
        )

    async def _read_row(self, view: JobView, circuit: CircuitView | None) -> JobRow:
        page = await self._queries.list_runs(job=view.entry.job.name, limit=RECENT_RUNS)
        runs = (record.run for record in reversed(page.records))
        recent = tuple(run for run in runs if run is not None and run.trigger is not Trigger.BACKFILL)
        return JobRow(view, recent, await self._find_heartbeat(view), circuit)

    async def _find_heartbeat(self, view: JobView) -> HeartbeatView | None:
        job = view.entry.job
        if job.check.kind != "heartbeat":
            return None
        try:
            return await self._heartbeats.view_heartbeat(job.name)
        except (UnknownJob, OperationError):
            return None  # the job was changed meanwhile
