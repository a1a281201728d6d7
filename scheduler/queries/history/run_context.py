"""The place of a run in the history of its job: the runs next to it, the last good one, its incident.

Called by scheduler.api.dashboard.jobs.run_page. Each read is limited to some pages around the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from jobs.incidents.values import Incident
from jobs.runs import Outcome, Run, Ticket
from scheduler.catalog.catalog import UnknownJob
from scheduler.features.incidents.queries import IncidentFilter, IncidentQueries
from scheduler.queries.jobs_and_runs import JobAndRunQueries
from scheduler.features.jobs.queries import JobAndRunQueries
from scheduler.queries.alerting.incidents import IncidentFilter, IncidentQueries
from scheduler.queries.time_range import TimeRange
from scheduler.stores.runs.repository import RunRecord

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
