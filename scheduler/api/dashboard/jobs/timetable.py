"""When a job runs next, in the zone of its schedule and in UTC. Called by the pages of a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.schedules import Schedule, zone_of
from scheduler.features.overview.job_view import JobView
from scheduler.queries.jobs_and_runs import JobAndRunQueries


@dataclass(frozen=True, slots=True)
class Timetable:
    """`english`: the schedule as a sentence. `zone`: name of its time zone, empty for UTC.

    `upcoming`: due instants in UTC, each with its text in local time.
    """

    english: str
    zone: str
    upcoming: Sequence[tuple[datetime, str]]


def create_timetable(view: JobView, queries: JobAndRunQueries, count: int) -> Timetable | None:
    """Return the timetable; None for a job that is disabled or has no schedule."""
    job = view.entry.job
    if job.schedule is None or not job.enabled:
        return None
    from jobs.schedules.explanations import explain_schedule  # imported only when a page is requested

    upcoming = [(due, _local_text(due, job.schedule)) for due in queries.next_due(view, count)]
    zone = zone_of(job.schedule)
    return Timetable(explain_schedule(job.schedule), zone.name if zone is not None else "", upcoming)


def _local_text(due: datetime, schedule: Schedule) -> str:
    zone = zone_of(schedule)
    local = due if zone is None else due.astimezone(zone.info)
    fraction = f".{local.microsecond // 1000:03}" if local.microsecond else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{fraction} {local:%Z}"
