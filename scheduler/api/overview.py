"""What the overview page tells: which jobs are down, a page of all jobs, the newest runs. Called by dashboard."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from jobs.runs import Run, Trigger
from scheduler.api.outages import Down, Outages
from scheduler.catalog import UnknownJob
from scheduler.circuit_board import CircuitBoard, CircuitView
from scheduler.heartbeats import HeartbeatView, HeartbeatViews
from scheduler.operations.errors import NotDone
from scheduler.queries import JobView, Queries
from scheduler.stores.runs import Record

PAGE = 50
"""Jobs on a page."""
STRIP = 20
"""Runs in a job's strip of recent ones, and in the list of the newest of all jobs."""
CARDS = 4
"""Outages described above the table of jobs; a link leads to the others."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job of the page. `recent`: its finished runs without backfills, oldest first. `heartbeat`, `circuit`: how they
    are, if it has one."""

    view: JobView
    recent: tuple[Run, ...]
    heartbeat: HeartbeatView | None = None
    circuit: CircuitView | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """`rows` are jobs `before + 1` to `before + len(rows)` of `total`, which are those that are down if `only_down`.

    `jobs`: how many there are.
    """

    down: Down
    rows: tuple[JobRow, ...]
    before: int
    total: int
    continuation: str | None
    newest: tuple[Record, ...]
    jobs: int
    only_down: bool = False


class Overview:
    """Made once an app."""

    def __init__(self, queries: Queries, heartbeats: HeartbeatViews, circuits: CircuitBoard, outages: Outages) -> None:
        self._queries = queries
        self._heartbeats = heartbeats
        self._circuits = circuits
        self._outages = outages

    async def page(self, after: str, *, only_down: bool = False) -> Page:
        """With the jobs after this one; `only_down`: of those that are down. Raises StoreError."""
        down, newest = await asyncio.gather(self._outages.now(), self._queries.runs(limit=STRIP))
        jobs = await self._queries.jobs(limit=PAGE, after=after, among=down.names if only_down else None)
        circuits = await self._circuits.of_jobs([view.entry.job.name for view in jobs.jobs])
        rows = await asyncio.gather(*(self._row(view, circuits.get(view.entry.job.name)) for view in jobs.jobs))
        count = len(self._queries.names())
        return Page(
            down, tuple(rows), jobs.before, jobs.total, jobs.continuation, newest.records, count, only_down=only_down
        )

    async def _row(self, view: JobView, circuit: CircuitView | None) -> JobRow:
        page = await self._queries.runs(job=view.entry.job.name, limit=STRIP)
        runs = (record.run for record in reversed(page.records))
        recent = tuple(run for run in runs if run is not None and run.trigger is not Trigger.BACKFILL)
        return JobRow(view, recent, await self._heartbeat(view), circuit)

    async def _heartbeat(self, view: JobView) -> HeartbeatView | None:
        job = view.entry.job
        if job.check.kind != "heartbeat":
            return None
        try:
            return await self._heartbeats.view(job.name)
        except (UnknownJob, NotDone):
            return None  # changed in this moment
