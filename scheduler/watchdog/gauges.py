"""The gauges of the watchdog: name, meaning, unit and value of each. Called by scheduler.watchdog.watchdog.

The exporters and the table of docs/telemetry.md follow from this list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from scheduler.watchdog.report import Lateness, WatchdogReport

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WatchdogGauge:
    """`unit`: `ms`, `s`, or empty for a count. `read` returns None if the report has no value."""

    name: str
    description: str
    unit: str
    read: Callable[[WatchdogReport], float | None]


def read_gauges(report: WatchdogReport) -> Sequence[tuple[WatchdogGauge, float]]:
    """Return the gauges that have a value in the report."""
    values = ((gauge, gauge.read(report)) for gauge in WATCHDOG_GAUGES)
    return [(gauge, float(value)) for gauge, value in values if value is not None]


def _read(part: T | None, read: Callable[[T], float | None]) -> float | None:
    return None if part is None else read(part)


def _seconds(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else max(0.0, (now - since).total_seconds())


WATCHDOG_GAUGES = (
    WatchdogGauge("tick_gap", "Time since the last tick.", "s", lambda report: _seconds(report.last_tick, report.at)),
    WatchdogGauge(
        "late_jobs",
        "Jobs with a due instant that passed without a run.",
        "",
        lambda report: _read(report.jobs, lambda jobs: len(jobs.with_lateness(Lateness.LATE))),
    ),
    WatchdogGauge(
        "silent_jobs",
        "Jobs without a run for twice their interval.",
        "",
        lambda report: _read(report.jobs, lambda jobs: len(jobs.with_lateness(Lateness.SILENT))),
    ),
    WatchdogGauge(
        "queue_depth",
        "Tickets (embedded) or messages (Functions) that wait.",
        "",
        lambda report: _read(report.queue, lambda queue: queue.waiting_count),
    ),
    WatchdogGauge(
        "queue_age",
        "Time for which the oldest executable one has been waiting.",
        "s",
        lambda report: _read(report.queue, lambda queue: queue.oldest_s or 0.0),
    ),
    WatchdogGauge(
        "poison_depth",
        "Messages in the poison queue that are not dead letters yet.",
        "",
        lambda report: _read(report.queue, lambda queue: queue.poison_count),
    ),
    WatchdogGauge("dead_letters", "Stored dead letters.", "", lambda report: report.dead_letters),
    WatchdogGauge(
        "open_runs",
        "Queued and running runs.",
        "",
        lambda report: _read(report.open_runs, lambda runs: runs.count),
    ),
    WatchdogGauge(
        "oldest_run",
        "Time since the due instant of the oldest of them.",
        "s",
        lambda report: _read(report.open_runs, lambda runs: _seconds(runs.oldest_due_at, report.at) or 0.0),
    ),
    WatchdogGauge("store_time", "Duration of one write to the store.", "ms", lambda report: report.store_ms),
    WatchdogGauge(
        "places_used",
        "Slots of `concurrency` in use, in the process that measures.",
        "",
        lambda report: _read(report.places, lambda places: places.used),
    ),
    WatchdogGauge(
        "places_full",
        "Time without a free slot.",
        "s",
        lambda report: _read(report.places, lambda places: places.full_s),
    ),
)
