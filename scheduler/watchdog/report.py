"""A report of the watchdog as plain data, and its gauges: name, meaning, unit and value of each.

The exporters and the table of docs/telemetry.md follow from the list of gauges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from scheduler.dispatch.port import QueueDepth
from scheduler.stores.dead_letters import OpenRunCount
from scheduler.watchdog.cpu_watch import CpuReport
from scheduler.worker.places import PlacesReport


class Lateness(StrEnum):
    """`late`: a due instant passed a while ago without a run, and without a later run.

    `silent`: several instants passed so, for more than twice the job's interval.
    """

    LATE = "late"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class LateJob:
    """`since`: the first due instant without a run. `last`: the last known instant with a run."""

    job: str
    lateness: Lateness
    since: datetime
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobsReport:
    """`watched`: scheduled jobs that are neither disabled nor paused. `late_jobs`: the oldest first.

    `pending_count`: jobs whose history was not read in this round, which is limited; they retain their last verdict.
    """

    watched: int
    late_jobs: tuple[LateJob, ...]
    pending_count: int = 0

    def with_lateness(self, lateness: Lateness) -> tuple[LateJob, ...]:
        return tuple(each for each in self.late_jobs if each.lateness is lateness)


@dataclass(frozen=True, slots=True)
class WatchdogReport:
    """None: the part could not be read; `unknown` has the cause by part, such as `queue`.

    `at`: when the report was made; `last_tick`: of any instance, None before the first tick. `store_ms`: how long the
    store took to write a row. `places` and `cpu`: of the process that answers.
    """

    at: datetime
    last_tick: datetime | None = None
    jobs: JobsReport | None = None
    queue: QueueDepth | None = None
    open_runs: OpenRunCount | None = None
    dead_letters: int | None = None
    store_ms: float | None = None
    places: PlacesReport | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)
    cpu: CpuReport | None = None


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
