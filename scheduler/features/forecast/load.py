"""The work of a forecast: how long runs last, how many are in flight, and which runs of groups wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import heappop, heappush, heapreplace, merge, nlargest
from operator import add
from typing import Final

from jobs.formats import format_duration
from jobs.policies.groups import ConcurrencyGroup
from jobs.ports import Clock
from scheduler.catalog.catalog import Query
from scheduler.features.forecast.counting import DueJob, ForecastCounts, count_spans, iterate_runs
from scheduler.features.forecast.grid import ForecastGrid, InstantCounter
from scheduler.features.forecast.schedule_changes import MillisecondSpan
from scheduler.features.jobs.queries import JobAndRunQueries
from scheduler.features.statistics.periods import Period
from scheduler.features.statistics.queries import StatsReader

MAX_MEASURED: Final = 200
"""Jobs of a forecast whose percentile is read: three reads of the store each."""
MEASURED_PERIOD: Final = timedelta(days=7)
CACHED_SECONDS: Final = 600.0
UNKNOWN_CACHED_SECONDS: Final = 30.0
"""For a job without a finished run: it may soon have one."""
_QUANTILE: Final = 0.95
MAX_LANES: Final = 20
MAX_BARS: Final = 300
"""Runs of a lane that are shown one by one; more form a band."""
MAX_SIMULATED: Final = 20_000
"""Runs of a group; a tenth of a second."""
MAX_SIMULATED_OF_ALL: Final = 100_000
"""Runs of all groups of a forecast."""
MAX_CAUSES: Final = 5
"""Jobs named as the cause."""
_YIELD_EVERY: Final = 100
_STEPS: Final = (1, 5, 10, 30, 60, 300, 600, 1800, 3600)
"""Seconds to which a proposed jitter is rounded up."""


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


class DurationReader(Query):
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
        return _select_known(self._latest, names)

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
        return _select_known(self._measured, names)


def _choose_measured(jobs: Sequence[DueJob], latest: Mapping[str, RunDuration]) -> Sequence[str]:
    """Return the jobs that take most of the time, those of concurrency groups and all."""
    measurable = [due for due in jobs if due.job.name in latest]
    grouped = [due for due in measurable if due.job.concurrency_group is not None]

    def busy_time(due: DueJob) -> float:
        return due.runs * latest[due.job.name].milliseconds

    chosen = (nlargest(MAX_MEASURED // 2, some, key=busy_time) for some in (grouped, measurable))
    return list(dict.fromkeys(due.job.name for some in chosen for due in some))


def _select_known(cached: Mapping[str, _CachedDuration], names: Sequence[str]) -> dict[str, RunDuration]:
    return {name: duration for name in names if (duration := cached[name].duration) is not None}


@dataclass(frozen=True, slots=True)
class Lane:
    """A job with its expected times of work. `bars`: from and until in milliseconds; None: too many to show.

    `share`: of the range in which a run of the job is expected to be in-flight; above 1 if runs overlap.
    """

    due: DueJob
    duration: RunDuration
    share: float
    bars: Sequence[MillisecondSpan] | None


@dataclass(frozen=True, slots=True, eq=False)
class CellLoad:
    """`lanes`: of all jobs; `rare_lanes`: of those that are not frequent.

    `concurrency`: the mean number of runs that are expected to be in-flight in each cell; `rare_concurrency`: of the
    jobs that are not frequent.

    `unknown`: the number of due jobs without a finished run, which are not included.
    """

    lanes: Sequence[Lane]
    rare_lanes: Sequence[Lane]
    concurrency: Sequence[float]
    rare_concurrency: Sequence[float]
    unknown: int


_Weights = dict[tuple[InstantCounter, tuple[MillisecondSpan, ...]], float]
"""Milliseconds of the jobs that are due, and suspended, at the same instants."""


def compute_load(counts: ForecastCounts, durations: Mapping[str, RunDuration]) -> Generator[None, None, CellLoad]:
    """Return the load of a forecast."""
    frequent: _Weights = {}
    rare: _Weights = {}
    busy: list[tuple[float, str, DueJob]] = []
    for due in counts.due:
        duration = durations.get(due.job.name)
        if duration is not None:
            key, weights = (due.counter, due.suspensions.spans), frequent if due.is_frequent else rare
            weights[key] = weights.get(key, 0.0) + duration.milliseconds
            busy.append((due.runs * duration.milliseconds, due.job.name, due))
        yield
    rare_concurrency = yield from _add_up_lanes(counts.grid, rare)
    concurrency = list(map(add, rare_concurrency, (yield from _add_up_lanes(counts.grid, frequent))))
    lanes = yield from _create_lanes(counts.grid, durations, busy)
    rare_lanes = yield from _create_lanes(counts.grid, durations, [each for each in busy if not each[2].is_frequent])
    return CellLoad(lanes, rare_lanes, concurrency, rare_concurrency, len(counts.due) - len(busy))


def _create_lanes(
    grid: ForecastGrid, durations: Mapping[str, RunDuration], busy: Sequence[tuple[float, str, DueJob]]
) -> Generator[None, None, Sequence[Lane]]:
    lanes: list[Lane] = []
    for busy_ms, name, due in nlargest(MAX_LANES, busy, key=lambda each: (each[0], each[1])):
        if busy_ms:
            lanes.append(_create_lane(grid, due, durations[name], busy_ms))
            yield
    return lanes


def _add_up_lanes(grid: ForecastGrid, weights: _Weights) -> Generator[None, None, Sequence[float]]:
    work_ms = [0.0] * len(grid.cells)
    for (counter, spans), milliseconds in weights.items():
        instants, lost = count_spans(grid, counter, spans)
        for cell, count in zip(grid.cell_of_span, instants, strict=True):
            work_ms[cell] += milliseconds * count
        for cell, count in zip(grid.cell_of_span, lost, strict=False):
            work_ms[cell] -= milliseconds * count
        yield
    return [work / 1000 / cell.seconds for work, cell in zip(work_ms, grid.cells, strict=True)]


def _create_lane(grid: ForecastGrid, due: DueJob, duration: RunDuration, busy_ms: float) -> Lane:
    since, until = grid.edges[0], grid.edges[-1]
    bars: list[MillisecondSpan] | None = None
    if due.runs <= MAX_BARS:
        length = max(1, round(duration.milliseconds))
        bars = [(at, min(at + length, until)) for at in iterate_runs(due, since, until)]
    return Lane(due, duration, busy_ms / (until - since), bars)


@dataclass(slots=True)
class GroupContention:
    """The prediction for a group. `jobs`: those that are due; `unknown`: of these, those without a finished run, which
    are not included.

    `peak`: most runs that would be in-flight without a limit. `waits`: runs that wait, `skipped`: of these, longer than
    the group allows. `cells`: with a peak above the limit, and this peak. `together`: most runs due at one instant.
    `simulated_until`: milliseconds.
    """

    group: ConcurrencyGroup
    jobs: int
    unknown: int
    runs: int = 0
    peak: int = 0
    waits: int = 0
    skipped: int = 0
    longest_wait_ms: float = 0.0
    busy_ms: float = 0.0
    together: int = 0
    together_ms: float = 0.0
    cells: dict[int, int] = field(default_factory=dict)
    waits_of_jobs: Counter[str] = field(default_factory=Counter)
    simulated_until: int = 0

    @property
    def is_contended(self) -> bool:
        return self.waits > 0

    @property
    def causes(self) -> Sequence[str]:
        """The jobs that wait most often."""
        return [name for name, _ in self.waits_of_jobs.most_common(MAX_CAUSES)]

    def list_cells(self) -> Sequence[tuple[int, int]]:
        """Return the contended cells with their peaks, the highest first."""
        return sorted(self.cells.items(), key=lambda each: (-each[1], each[0]))

    def suggest(self, since: int) -> str:
        """Say what to change. `since`: the begin of the simulation in milliseconds."""
        if not self.waits:
            return ""
        mean = self.busy_ms / max(1, self.simulated_until - since)
        if mean > self.group.limit:
            return f"The runs need {mean:.1f} slots on average: raise the limit, or run the jobs less often."
        if self.together > self.group.limit:
            needed = self.together_ms / 1000 / self.group.limit
            spread = next((step for step in _STEPS if step >= needed), _STEPS[-1])
            return (
                f"{self.together} runs are due at the same instant: spread them with a jitter of "
                f"{format_duration(spread)} or with offsets, or raise the limit to {self.peak}."
            )
        return f"Runs overlap: move the schedules of these jobs apart, or raise the limit to {self.peak}."


def find_contention(
    counts: ForecastCounts, durations: Mapping[str, RunDuration]
) -> Generator[None, None, Sequence[GroupContention]]:
    """Return the prediction for each group with a due job: those with skipped and waiting runs first."""
    members: dict[str, list[DueJob]] = {}
    for due in counts.due:
        if due.job.concurrency_group is not None and due.runs:
            members.setdefault(due.job.concurrency_group.name, []).append(due)
    remaining, contentions = MAX_SIMULATED_OF_ALL, []
    for _, jobs in sorted(members.items()):
        known = [(due, durations[due.job.name].milliseconds) for due in jobs if due.job.name in durations]
        group = jobs[0].job.concurrency_group
        assert group is not None  # only such jobs were added
        contention = GroupContention(group, len(jobs), len(jobs) - len(known))
        yield from _simulate_group(contention, known, counts.grid, min(MAX_SIMULATED, remaining))
        remaining -= contention.runs
        contentions.append(contention)
    return sorted(contentions, key=lambda each: (-each.skipped, -each.waits, -each.peak, each.group.name))


def _simulate_group(
    contention: GroupContention, jobs: Sequence[tuple[DueJob, float]], grid: ForecastGrid, most: int
) -> Generator[None, None, None]:
    slots = [0.0] * contention.group.limit
    in_flight: list[float] = []
    place, previous, together, together_ms = 0, 0, 0, 0.0
    contention.simulated_until = grid.edges[-1]
    for at, name, length in merge(*(_iterate_with_lengths(due, length, grid) for due, length in jobs)):
        if contention.runs == most:
            contention.simulated_until = at
            return
        while grid.edges[place + 1] <= at:
            place += 1
        together, together_ms = (together + 1, together_ms + length) if at == previous else (1, length)
        previous = at
        if together > contention.together:
            contention.together, contention.together_ms = together, together_ms
        while in_flight and in_flight[0] <= at:
            heappop(in_flight)
        heappush(in_flight, at + length)
        _add_run(contention, grid.cell_of_span[place], len(in_flight), length)
        _acquire(contention, slots, at, name, length)
        if not contention.runs % _YIELD_EVERY:
            yield


def _iterate_with_lengths(due: DueJob, length: float, grid: ForecastGrid) -> Iterator[tuple[int, str, float]]:
    for at in iterate_runs(due, grid.edges[0], grid.edges[-1]):
        yield at, due.job.name, length


def _add_run(contention: GroupContention, cell: int, in_flight: int, length: float) -> None:
    contention.runs += 1
    contention.busy_ms += length
    contention.peak = max(contention.peak, in_flight)
    if in_flight > contention.group.limit:
        contention.cells[cell] = max(contention.cells.get(cell, 0), in_flight)


def _acquire(contention: GroupContention, slots: list[float], at: int, name: str, length: float) -> None:
    """`slots`: a heap of the instants at which each slot is free."""
    wait = max(0.0, slots[0] - at)
    if wait:
        contention.waits += 1
        contention.waits_of_jobs[name] += 1
        contention.longest_wait_ms = max(contention.longest_wait_ms, min(wait, 1000 * contention.group.wait))
    if wait > 1000 * contention.group.wait:
        contention.skipped += 1
    else:
        heapreplace(slots, at + wait + length)
