"""A report of the watchdog as plain data.

Made by scheduler.watchdog.watchdog; read by health, the API and telemetry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from scheduler.dispatch.port import QueueDepth
from scheduler.stores.key_counts import OpenRunCount
from scheduler.worker.concurrency.places import PlacesReport


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
    store took to write a row. `places`: of the process that answers.
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

    def gauges(self) -> Mapping[str, float]:
        """Return the known numbers by the names in WATCHDOG_GAUGES: seconds, milliseconds and counts."""
        found: dict[str, float | None] = {"tick_gap": _seconds(self.last_tick, self.at), "store_time": self.store_ms}
        found["dead_letters"] = self.dead_letters
        if self.jobs is not None:
            found["late_jobs"] = len(self.jobs.with_lateness(Lateness.LATE))
            found["silent_jobs"] = len(self.jobs.with_lateness(Lateness.SILENT))
        if self.queue is not None:
            found["queue_depth"] = self.queue.waiting_count
            found["queue_age"] = self.queue.oldest_s or 0.0
            found["poison_depth"] = self.queue.poison_count
        if self.open_runs is not None:
            found["open_runs"] = self.open_runs.count
            found["oldest_run"] = _seconds(self.open_runs.oldest_due_at, self.at) or 0.0
        if self.places is not None:
            found["places_used"] = self.places.used
            found["places_full"] = self.places.full_s
        return {name: float(value) for name, value in found.items() if value is not None}


WATCHDOG_GAUGES = (
    "tick_gap",
    "late_jobs",
    "silent_jobs",
    "queue_depth",
    "queue_age",
    "poison_depth",
    "dead_letters",
    "open_runs",
    "oldest_run",
    "store_time",
    "places_used",
    "places_full",
)


def _seconds(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else max(0.0, (now - since).total_seconds())
