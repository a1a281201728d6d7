"""Reads how long runs of jobs last. Used by scheduler.queries.forecast.load_reader.

The latest run of each job tells which jobs take most of the time. For these, and for jobs of concurrency groups, the
95th percentile of the last seven days is read. Both are cached for ten minutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from heapq import nlargest
from typing import Final

from jobs.ports import Clock
from scheduler.features.statistics.periods import Period
from scheduler.features.statistics.queries import StatsReader
from scheduler.queries.forecast.counting import DueJob
from scheduler.queries.jobs_and_runs import JobAndRunQueries

MAX_MEASURED: Final = 200
"""Jobs of a forecast whose percentile is read: three reads of the store each."""
MEASURED_PERIOD: Final = timedelta(days=7)
CACHED_SECONDS: Final = 600.0
UNKNOWN_CACHED_SECONDS: Final = 30.0
"""For a job without a finished run: it may soon have one."""
_QUANTILE: Final = 0.95


@dataclass(frozen=True, slots=True)
class RunDuration:
    """`is_percentile`: the 95th percentile, else the duration of the latest run."""

    milliseconds: float
    is_percentile: bool


@dataclass(frozen=True, slots=True)
class _CachedDuration:
    """`duration` None: no run has finished."""

    duration: RunDuration | None
    until: float


class DurationReader:
    """Raises StoreError."""

    def __init__(self, queries: JobAndRunQueries, stats: StatsReader, clock: Clock) -> None:
        self._queries = queries
        self._stats = stats
        self._clock = clock
        self._latest: dict[str, _CachedDuration] = {}
        self._measured: dict[str, _CachedDuration] = {}

    async def read(self, jobs: Sequence[DueJob]) -> Mapping[str, RunDuration]:
        """Return the durations of these jobs. Jobs without a finished run are omitted."""
        latest = await self._read_latest([due.job.name for due in jobs])
        measured = await self._measure(_choose_measured(jobs, latest))
        return latest | measured

    async def _read_latest(self, names: Sequence[str]) -> dict[str, RunDuration]:
        now = self._clock.monotonic()
        self._latest = {name: each for name, each in self._latest.items() if each.until > now}
        missing = [name for name in names if name not in self._latest]
        found = await self._queries.latest_runs(missing)
        for name in missing:
            run = found[name].run if name in found else None
            duration = RunDuration(run.duration_ms, False) if run is not None and run.attempts else None
            seconds = UNKNOWN_CACHED_SECONDS if duration is None else CACHED_SECONDS
            self._latest[name] = _CachedDuration(duration, now + seconds)
        return _select(self._latest, names)

    async def _measure(self, names: Sequence[str]) -> dict[str, RunDuration]:
        now, at = self._clock.monotonic(), self._clock.now()
        self._measured = {name: each for name, each in self._measured.items() if each.until > now}
        missing = [name for name in names if name not in self._measured]
        found = await self._stats.read_durations(missing, Period.covering(at - MEASURED_PERIOD, at))
        for name in missing:
            value = found[name].quantile(_QUANTILE) if name in found else None
            duration = None if value is None else RunDuration(value, True)
            seconds = UNKNOWN_CACHED_SECONDS if duration is None else CACHED_SECONDS
            self._measured[name] = _CachedDuration(duration, now + seconds)
        return _select(self._measured, names)


def _choose_measured(jobs: Sequence[DueJob], latest: Mapping[str, RunDuration]) -> Sequence[str]:
    """Return the jobs that take most of the time, those of concurrency groups and all."""
    known = [due for due in jobs if due.job.name in latest]
    grouped = [due for due in known if due.job.concurrency_group is not None]

    def busy_time(due: DueJob) -> float:
        return due.runs * latest[due.job.name].milliseconds

    chosen = (nlargest(MAX_MEASURED // 2, some, key=busy_time) for some in (grouped, known))
    return list(dict.fromkeys(due.job.name for some in chosen for due in some))


def _select(cached: Mapping[str, _CachedDuration], names: Sequence[str]) -> dict[str, RunDuration]:
    return {name: duration for name in names if (duration := cached[name].duration) is not None}
