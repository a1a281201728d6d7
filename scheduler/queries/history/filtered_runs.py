"""The runs of a job with an outcome and a trigger. Called by scheduler.features.jobs.job_page."""

from __future__ import annotations

from scheduler.features.jobs.queries import JobAndRunQueries
from scheduler.queries.time_range import ANY_TIME, TimeRange
from scheduler.stores.runs.repository import RunPage, RunRecord

_SCAN_BATCH = 50
MAX_RUNS_SCANNED = 1000
"""Runs that one page with a trigger reads; it can therefore have fewer runs than its limit, even none."""


async def list_filtered_runs(
    queries: JobAndRunQueries,
    job: str,
    *,
    outcome: str | None = None,
    trigger: str | None = None,
    due: TimeRange = ANY_TIME,
    limit: int,
    continuation: str | None = None,
) -> RunPage:
    """Return a page, newest first. With a trigger it can have some more runs than `limit`.

    Raises ValueError for a continuation of another list, StoreError.
    """
    if trigger is None:
        return await queries.list_runs(job=job, outcome=outcome, due=due, limit=limit, continuation=continuation)
    found: list[RunRecord] = []
    for _ in range(MAX_RUNS_SCANNED // _SCAN_BATCH):
        page = await queries.list_runs(job=job, outcome=outcome, due=due, limit=_SCAN_BATCH, continuation=continuation)
        found += [record for record in page.records if record.ticket.trigger == trigger]
        continuation = page.continuation
        if continuation is None or len(found) >= limit:
            break
    return RunPage(tuple(found), continuation)
