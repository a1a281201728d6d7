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
