"""The watchdog's rules: when a job is late or silent, and when health says so. Pure; called by jobs and watching."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from jobs.schedules import Schedule
from scheduler.dispatch.port import Depth
from scheduler.health import PartHealth, Status
from scheduler.watchdog.places import about_places, about_shares
from scheduler.watchdog.report import JobsFound, JobTrouble, Report, Trouble

LATE_AFTER = timedelta(seconds=90)
"""After its due instant. A tick that comes late plans what fell due up to a minute before; after it nothing is on its
way any more that would still be on time."""
OLD_AFTER = 60.0
"""Seconds for which what could be worked on may wait before the queue is called degraded."""
LONG_QUEUE = 5000
"""Messages or tickets. A thousand tickets a second are some hundred messages a minute."""
JOBS, QUEUE = "jobs", "queue"
"""The parts of health that the watchdog speaks for."""
_NAMED = 5
"""Jobs of each kind that health names; GET /api/watchdog has more of them."""


def judge(
    job: str, schedule: Schedule, since: datetime, now: datetime, *, waits: timedelta = timedelta()
) -> JobTrouble | None:
    """None if all is well. `since`: the newest due instant that has a run, or when watching began, if that is later.

    `waits`: for so long a run of the job may wait for others before it begins.
    """
    first = schedule.next_after(since)
    if first is None or now - first <= LATE_AFTER + waits:
        return None
    silent = _is_silent(schedule, since, first, now - waits)
    return JobTrouble(job, Trouble.SILENT if silent else Trouble.LATE, first)


def _is_silent(schedule: Schedule, since: datetime, first: datetime, now: datetime) -> bool:
    """Several instants must have passed: on a Monday morning a job of office hours has not run for much longer than its
    interval, and is only due."""
    second = schedule.next_after(first)
    if second is None or now - second <= LATE_AFTER:
        return False
    return now - since > 2 * (_interval(schedule, now) or second - first)


def _interval(schedule: Schedule, now: datetime) -> timedelta | None:
    """Between its next two due instants; None if there are no two."""
    soonest = schedule.next_after(now)
    following = None if soonest is None else schedule.next_after(soonest)
    return None if soonest is None or following is None else following - soonest


def parts_of(report: Report) -> tuple[PartHealth, ...]:
    """`jobs` and `queue`. At worst degraded: while anything runs, a load balancer must not turn away."""
    return (
        _part(JOBS, _not_known(report, JOBS) if report.jobs is None else _about_jobs(report.jobs)),
        _part(QUEUE, _about_work(report)),
    )


def known_parts_of(report: Report) -> tuple[PartHealth, ...]:
    """Those of which something can be said."""
    asked = {JOBS: report.jobs is not None, QUEUE: report.queue is not None or bool(about_places(report.places))}
    return tuple(part for part in parts_of(report) if asked[part.name])


def _not_known(report: Report, name: str) -> str:
    return f"not known: {report.unknown.get(name, 'look at GET /api/watchdog')}"


def _part(name: str, message: str) -> PartHealth:
    return PartHealth(name, Status.DEGRADED if message else Status.OK, message)


def _about_jobs(jobs: JobsFound) -> str:
    if not jobs.troubles:
        return ""
    found = [_named(jobs.of(trouble), trouble) for trouble in (Trouble.SILENT, Trouble.LATE) if jobs.of(trouble)]
    return f"{'; '.join(found)}: look at GET /api/watchdog, at the parts ticker or ticks and queue, and at the log"


def _named(troubles: Sequence[JobTrouble], trouble: Trouble) -> str:
    number = "1 job is" if len(troubles) == 1 else f"{len(troubles)} jobs are"
    named = [f"{each.job} (due {each.since:%Y-%m-%d %H:%M:%S}Z)" for each in troubles[:_NAMED]]
    return f"{number} {trouble}: {', '.join(named)}{', ...' if len(troubles) > _NAMED else ''}"


def _about_work(report: Report) -> str:
    """The queue and the places that its runs wait for."""
    queue = _not_known(report, QUEUE) if report.queue is None else _about_queue(report.queue)
    held_back = about_shares(report.places) if queue else ""
    return "; ".join(filter(None, (queue, held_back, about_places(report.places))))


def _about_queue(queue: Depth) -> str:
    found = []
    if queue.oldest_s is not None and queue.oldest_s > OLD_AFTER:
        found.append(
            f"the oldest of {queue.waiting} waits for {queue.oldest_s:.0f} s: runs end more slowly than they fall due; "
            "look at slow targets, at the setting concurrency, and at the number of instances"
        )
    elif queue.waiting > LONG_QUEUE:
        found.append(f"{queue.waiting} wait: look at what was planned or replayed, and at the number of instances")
    if queue.poison:
        found.append(
            f"{queue.poison} messages were given up and are not dead letters yet: look at the function bury and its log"
        )
    return "; ".join(found)
