"""Reads runs of a job: those with an outcome and a trigger, those next to a run, and those since when it is down.

A job is down if its newest run that counts is down. Skipped and cancelled runs and backfills do not count. Each read is
limited to some pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from jobs.incidents.values import Incident
from jobs.runs import Outcome, Run, Ticket
from scheduler.catalog.catalog import UnknownJob
from scheduler.features.incidents.queries import IncidentFilter, IncidentQueries
from scheduler.features.jobs.queries import JobAndRunQueries
from scheduler.features.statistics.periods import ANY_TIME, TimeRange
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


_NEAR: Final = 20
_WINDOWS: Final = (
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=2),
    timedelta(days=1),
    timedelta(days=10),
)
"""After a run, in which the next one is searched: lists are newest first, so a long one would be read to its end."""
_PAGE, _PAGES = 100, 5
_INCIDENTS_READ: Final = 20
_OPENS_WITHIN: Final = timedelta(days=1)
"""After the first failing run, an alert may wait for more of them."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """`previous` and `next`: in the order of due instants; None if there is no such run, or not within reach."""

    previous: RunRecord | None = None
    next: RunRecord | None = None
    good: Run | None = None
    incident: Incident | None = None


async def read_run_context(
    queries: JobAndRunQueries, incidents: IncidentQueries, record: RunRecord, now: datetime
) -> RunContext:
    """Return the context. `good`: the last run before it that succeeded, of a run that is down or degraded."""
    run, ticket = record.run, record.ticket
    is_bad = run is not None and (run.outcome.down or run.degraded)
    return RunContext(
        await _find_previous(queries, ticket),
        await _find_next(queries, ticket, now),
        await _find_good(queries, ticket) if is_bad else None,
        await _find_incident(incidents, run) if is_bad and run is not None else None,
    )


async def _find_previous(queries: JobAndRunQueries, ticket: Ticket) -> RunRecord | None:
    page = await queries.list_runs(job=ticket.job, due=TimeRange(None, ticket.due_at), limit=_NEAR)
    ids = [one.ticket.id for one in page.records]
    at = ids.index(ticket.id) + 1 if ticket.id in ids else len(ids)
    return page.records[at] if at < len(ids) else None


async def _find_next(queries: JobAndRunQueries, ticket: Ticket, now: datetime) -> RunRecord | None:
    for window in _WINDOWS:
        until = ticket.due_at + window
        newer = await _list_oldest(queries, ticket, TimeRange(ticket.due_at, until))
        if newer is not None:
            return newer
        if until > now + _WINDOWS[0]:
            break
    return None


async def _list_oldest(queries: JobAndRunQueries, ticket: Ticket, due: TimeRange) -> RunRecord | None:
    """Return the run that follows this one in a range that begins with it."""
    continuation, newer = None, None
    for _ in range(_PAGES):
        page = await queries.list_runs(job=ticket.job, due=due, limit=_PAGE, continuation=continuation)
        for each in page.records:
            if each.ticket.id == ticket.id:
                return newer
            newer = each
        if (continuation := page.continuation) is None:
            return newer
    return None


async def _find_good(queries: JobAndRunQueries, ticket: Ticket) -> Run | None:
    due = TimeRange(None, ticket.due_at)
    page = await queries.list_runs(job=ticket.job, outcome=Outcome.SUCCEEDED.value, due=due, limit=_NEAR)
    runs = [one.run for one in page.records if one.run is not None and one.ticket.id != ticket.id]
    return next((run for run in runs if not run.degraded), runs[0] if runs else None)


async def _find_incident(incidents: IncidentQueries, run: Run) -> Incident | None:
    """Return the incident in which the alert of the job was failing while the run ended."""
    criteria = IncidentFilter(subject=run.job, opened=TimeRange(None, run.finished_at + _OPENS_WITHIN))
    try:
        page = await incidents.list_incidents(criteria, limit=_INCIDENTS_READ)
    except UnknownJob:
        return None  # the job was deleted, and had no incident
    for incident in (view.incident for view in page.views):
        members = [member for member in incident.members if member.key.subject == run.job]
        begin = min((member.failing_since for member in members), default=incident.failing_since)
        # An alert is failing since its first bad run has ended, or since that run was due.
        if begin <= run.finished_at and (incident.resolved_at is None or run.due_at <= incident.resolved_at):
            return incident
    return None


_MAX_CACHED_OUTAGES = 200
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


class OutageReader:
    """One instance an app, because it caches outages."""

    def __init__(self, queries: JobAndRunQueries) -> None:
        self._queries = queries
        self._known: dict[str, Outage] = {}

    async def find_outage(self, name: str) -> Outage | None:
        """Return the current outage of a job; None if it is not down. Raises StoreError."""
        outage = await self._read_outage(name)
        self._known.pop(name, None)
        if outage is not None:
            self._known[name] = outage  # the next call does not search for its start again
            if len(self._known) > _MAX_CACHED_OUTAGES:
                del self._known[next(iter(self._known))]
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
