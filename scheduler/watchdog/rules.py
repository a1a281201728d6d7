"""The watchdog's rules: when a job is late or silent, when health is degraded, and its messages about places. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from jobs.formats import format_count, format_instant
from jobs.schedules import Schedule
from scheduler.dispatch.port import QueueDepth
from scheduler.health import HealthStatus, PartHealth
from scheduler.watchdog.cpu_watch import describe_starvation
from scheduler.watchdog.report import JobsReport, LateJob, Lateness, WatchdogReport
from scheduler.worker.places import JobPlaces, PlacesReport

PLACES_FULL_AFTER_S = 10.0
"""Seconds without a free place after which the queue is degraded."""
_MAX_NAMED_HOLDERS = 3
"""Jobs and hosts that a message names."""


_LACKS_CPU = "the process lacks CPU, so more concurrency does not help: see the health part cpu"


def describe_full_places(places: PlacesReport | None, *, is_starved: bool = False) -> str:
    """Return the problem without a full stop; empty if a place was free. `is_starved`: the process lacks CPU."""
    if places is None or places.full_s < PLACES_FULL_AFTER_S:
        return ""
    waiting = f", {places.waiting} runs wait" if places.waiting else ""
    return (
        f"none of {places.total} places was free for {places.full_s:.0f} s{waiting}: "
        f"{', '.join(_describe_holders(places))}; "
        + (_LACKS_CPU if is_starved else "lower the timeout of these jobs, or raise the setting concurrency")
    )


def describe_full_shares(places: PlacesReport | None) -> str:
    """Return the jobs and hosts whose runs wait although places are free; empty without such runs."""
    if places is None or not places.held_back:
        return ""
    named = [f"{name} ({number} wait)" for name, number in places.held_back[:_MAX_NAMED_HOLDERS]]
    return f"their share of places (settings shares.job, shares.host) is used up by {', '.join(named)}"


def _describe_holders(places: PlacesReport) -> Iterator[str]:
    """Yield the jobs with the most places, then hosts with several jobs."""
    named = [holder for holder in places.holders if holder.places > 1][:_MAX_NAMED_HOLDERS]
    for holder in named or places.holders[:_MAX_NAMED_HOLDERS]:
        yield f"job {holder.job} holds {_describe_count(holder)} at {holder.host} for {holder.held_s:.0f} s"
    hosts = Counter[str]()
    for holder in places.holders:
        hosts[holder.host] += holder.places
    for host, number in hosts.most_common(_MAX_NAMED_HOLDERS):
        jobs = sum(holder.host == host for holder in places.holders)
        if jobs > 1:
            yield f"{jobs} jobs at {host} hold {number}"


def _describe_count(holder: JobPlaces) -> str:
    return f"{holder.places} of them" if holder.places > 1 else "one of them"


LATE_AFTER = timedelta(seconds=90)
"""After its due instant. A late tick plans instants of the last minute; after that, no run can still start on time."""
MAX_QUEUE_AGE_S = 60.0
"""Seconds for which a ready ticket may wait before the queue is degraded."""
MAX_QUEUE_LENGTH = 5000
"""Messages or tickets. A thousand tickets a second are some hundred messages a minute."""
JOBS_PART, QUEUE_PART, CPU_PART = "jobs", "queue", "cpu"
"""The parts of health that the watchdog reports."""
_MAX_NAMED_JOBS = 5
"""Late or silent jobs that health names; GET /api/watchdog has more."""


def judge_job(
    job: str, schedule: Schedule, since: datetime, now: datetime, *, waits: timedelta = timedelta()
) -> LateJob | None:
    """Return the problem of a job, or None. `since`: its newest instant with a run, or the start of the watch if later.

    `waits`: how long a run of the job may wait for other jobs before it starts.
    """
    first = schedule.next_after(since)
    if first is None or now - first <= LATE_AFTER + waits:
        return None
    silent = _is_silent(schedule, since, first, now - waits)
    return LateJob(job, Lateness.SILENT if silent else Lateness.LATE, first)


def _is_silent(schedule: Schedule, since: datetime, first: datetime, now: datetime) -> bool:
    """Return whether several instants have passed: on a Monday morning, a job of office hours is only due."""
    second = schedule.next_after(first)
    if second is None or now - second <= LATE_AFTER:
        return False
    return now - since > 2 * (_interval(schedule, now) or second - first)


def _interval(schedule: Schedule, now: datetime) -> timedelta | None:
    """Return the time between the next two instants; None if there is only one."""
    soonest = schedule.next_after(now)
    following = None if soonest is None else schedule.next_after(soonest)
    return None if soonest is None or following is None else following - soonest


def health_parts(report: WatchdogReport) -> tuple[PartHealth, ...]:
    """Return the parts `jobs`, `queue` and, if known, `cpu`, degraded at worst: a load balancer must not remove a
    running instance."""
    cpu = () if report.cpu is None else (_part(CPU_PART, describe_starvation(report.cpu)),)
    return (
        _part(JOBS_PART, _unknown_message(report, JOBS_PART) if report.jobs is None else _describe_jobs(report.jobs)),
        _part(QUEUE_PART, _describe_work(report)),
        *cpu,
    )


def known_health_parts(report: WatchdogReport) -> tuple[PartHealth, ...]:
    """Return the parts whose values could be read."""
    is_known = {
        JOBS_PART: report.jobs is not None,
        QUEUE_PART: report.queue is not None or bool(describe_full_places(report.places)),
    }
    return tuple(part for part in health_parts(report) if is_known.get(part.name, True))


def _unknown_message(report: WatchdogReport, name: str) -> str:
    return f"not known: {report.unknown.get(name, 'see GET /api/watchdog')}"


def _part(name: str, message: str) -> PartHealth:
    return PartHealth(name, HealthStatus.DEGRADED if message else HealthStatus.OK, message)


def _describe_jobs(jobs: JobsReport) -> str:
    if not jobs.late_jobs:
        return ""
    sentences = [
        _describe_late_jobs(jobs.with_lateness(lateness), lateness)
        for lateness in (Lateness.SILENT, Lateness.LATE)
        if jobs.with_lateness(lateness)
    ]
    return f"{'; '.join(sentences)}; see GET /api/watchdog, the health parts ticker or ticks and queue, and the log"


def _describe_late_jobs(jobs: Sequence[LateJob], lateness: Lateness) -> str:
    number = format_count(len(jobs), "job is", "jobs are")
    named = [f"{late.job} (due {format_instant(late.since)})" for late in jobs[:_MAX_NAMED_JOBS]]
    return f"{number} {lateness}: {', '.join(named)}{', ...' if len(jobs) > _MAX_NAMED_JOBS else ''}"


def _describe_work(report: WatchdogReport) -> str:
    """Describe the queue and the places that its runs wait for."""
    is_starved = report.cpu is not None and report.cpu.is_starved
    queue = _unknown_message(report, QUEUE_PART) if report.queue is None else _describe_queue(report.queue, is_starved)
    held_back = describe_full_shares(report.places) if queue else ""
    return "; ".join(filter(None, (queue, held_back, describe_full_places(report.places, is_starved=is_starved))))


def _describe_queue(queue: QueueDepth, is_starved: bool) -> str:
    sentences = []
    advice = _LACKS_CPU if is_starved else "check slow targets, the setting concurrency and the number of instances"
    if queue.oldest_s is not None and queue.oldest_s > MAX_QUEUE_AGE_S:
        sentences.append(
            f"the oldest of {queue.waiting_count} waits for {queue.oldest_s:.0f} s: runs finish "
            f"more slowly than they are due; {advice}"
        )
    elif queue.waiting_count > MAX_QUEUE_LENGTH:
        sentences.append(f"{queue.waiting_count} wait: check planned and replayed runs and the number of instances")
    if queue.poison_count:
        sentences.append(
            f"{queue.poison_count} messages on the poison queue are not dead letters yet: check "
            "the function bury and its log"
        )
    return "; ".join(sentences)
