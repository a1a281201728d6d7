"""Reads what is due in the next 24 h or 7 d, and its load. Results are cached."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Final
from weakref import WeakKeyDictionary

from jobs.definition import JobDefinition
from jobs.incidents.suppression.windows import RequestedWindow, WindowEffect
from jobs.ports import Clock
from jobs.schedules import to_milliseconds
from scheduler.catalog.catalog import Catalog, JobSnapshot, Query
from scheduler.features.forecast.counting import (
    CellJob,
    ForecastCounts,
    UpcomingRun,
    UpcomingRuns,
    count_due,
    list_cell_jobs,
)
from scheduler.features.forecast.grid import CounterFactory, ForecastGrid, ForecastRange, create_grid
from scheduler.features.forecast.load import (
    CACHED_SECONDS,
    UNKNOWN_CACHED_SECONDS,
    CellLoad,
    DurationReader,
    GroupContention,
    compute_load,
    find_contention,
)
from scheduler.features.forecast.schedule_changes import (
    ClockChange,
    ExcludedDay,
    SuspendedJobs,
    SuspensionFinder,
    find_clock_changes,
    find_excluded_days,
    group_by_source,
)
from scheduler.features.jobs.queries import JobAndRunQueries
from scheduler.features.jobs.selection import JobSelection
from scheduler.features.statistics.periods import hour_of
from scheduler.features.suppressions.queries import SuppressionQueries
from scheduler.stores.gates import Pause
from scheduler.turns import convert_each, finish

MAX_FORECASTS = 8
"""Forecasts that are cached: each takes about 2 MB for 5,000 jobs."""
_RANGE_MARGIN = timedelta(hours=1)
"""Before and after the range of a forecast: its first cell began up to an hour before the current hour in UTC."""
MAX_WAIT_S: Final = 0.5
"""Seconds that a request waits for the load of thousands of jobs. A later one has it."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Forecast:
    """`changes`: of local time in the range; `days`: those that calendars of schedules exclude.

    `suspensions`: those because of which a due job does not run.
    """

    counts: ForecastCounts
    changes: Sequence[ClockChange]
    days: Sequence[ExcludedDay]
    suspensions: Sequence[SuspendedJobs]
    upcoming: UpcomingRuns
    _cell_jobs: dict[tuple[int, bool], Sequence[CellJob]] = field(default_factory=dict, repr=False)

    @property
    def grid(self) -> ForecastGrid:
        return self.counts.grid

    async def list_cell(self, cell: int, *, only_rare: bool) -> Sequence[CellJob]:
        """Return the jobs of a cell, the one with most runs first. `only_rare`: without frequent jobs."""
        key = cell, only_rare
        if key not in self._cell_jobs:
            self._cell_jobs[key] = await finish(list_cell_jobs(self.counts, cell, only_rare=only_rare))
        return self._cell_jobs[key]

    async def list_upcoming(self, now: datetime, count: int) -> Sequence[UpcomingRun]:
        """Return the next runs within the range."""
        return await finish(self.upcoming.list_next(to_milliseconds(now), count))


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a forecast follows from."""

    snapshot: JobSnapshot
    selection: JobSelection
    grid: ForecastGrid
    pauses: Mapping[str, Pause]
    requested: Sequence[RequestedWindow]

    @property
    def key(self) -> Hashable:
        grid = self.grid
        windows = frozenset((each.id, each.ended_at) for each in self.requested)
        pauses = frozenset(self.pauses.values())
        return grid.range, grid.zone.name, grid.edges[0], self.selection, self.snapshot, windows, pauses


class ForecastReader(Query):
    """Its forecasts contain the jobs of `catalog`."""

    def __init__(
        self, catalog: Catalog, queries: JobAndRunQueries, suppressions: SuppressionQueries, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._queries = queries
        self._suppressions = suppressions
        self._clock = clock
        self._factories: dict[tuple[ForecastRange, datetime], CounterFactory] = {}
        self._cached: dict[Hashable, asyncio.Task[Forecast]] = {}

    async def read(self, chosen: ForecastRange, zone: tzinfo, selection: JobSelection) -> Forecast:
        """Return the forecast from the current cell on. States and outcomes of the selection are ignored.

        While the store is unavailable, pauses and windows that were read before stay in force. Concurrent requests for
        the same forecast share one computation.
        """
        requested = await self._suppressions.list_current_windows()
        inputs = _Inputs(
            self._catalog.snapshot,
            selection,
            create_grid(chosen, zone, self._clock.now()),
            await self._queries.list_pauses(),
            [each for each in requested if each.window.effect is WindowEffect.PAUSE],
        )
        key = inputs.key
        task = self._cached.pop(key, None)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.ensure_future(self._compute(inputs))
        self._cached[key] = task
        while len(self._cached) > MAX_FORECASTS:
            del self._cached[next(iter(self._cached))]
        return await asyncio.shield(task)

    async def _compute(self, inputs: _Inputs) -> Forecast:
        grid, jobs = inputs.grid, await _select(inputs)
        windows = inputs.snapshot.alerting.windows
        suspensions = SuspensionFinder(inputs.pauses, windows, inputs.requested, grid.since, grid.until)
        counts = await finish(count_due(jobs, grid, self._find_factory(grid.range), suspensions))
        since, until = grid.edges[0] // 1000, grid.edges[-1] // 1000
        changes = await finish(find_clock_changes(jobs, grid.zone, since, until))
        first, last = (at.astimezone(grid.zone.info).date() for at in (grid.since, grid.until))
        days = await finish(find_excluded_days(jobs, first, last))
        suspended = ((each.job.name, each.suspensions) for each in counts.due if each.suspended)
        upcoming = UpcomingRuns(counts.due, grid.edges[-1])
        return Forecast(counts, changes, days, group_by_source(suspended), upcoming)

    def _find_factory(self, chosen: ForecastRange) -> CounterFactory:
        """Return the counters of the current hour. Those of earlier hours are dropped."""
        hour = hour_of(self._clock.now())
        self._factories = {key: each for key, each in self._factories.items() if key[1] == hour}
        if (chosen, hour) not in self._factories:
            until = hour + chosen.span + _RANGE_MARGIN
            self._factories[chosen, hour] = CounterFactory(
                to_milliseconds(hour - _RANGE_MARGIN), to_milliseconds(until)
            )
        return self._factories[chosen, hour]


async def _select(inputs: _Inputs) -> Sequence[JobDefinition]:
    def find(name: str) -> JobDefinition | None:
        job = inputs.snapshot.get_job(name).job
        return job if inputs.selection.matches_definition(job) else None

    return [job for job in await convert_each(find, inputs.snapshot.names()) if job is not None]


@dataclass(frozen=True, slots=True)
class ForecastLoad:
    cells: CellLoad
    groups: Sequence[GroupContention]


@dataclass(slots=True)
class _Reading:
    """`last`: the result before `task`. `until`: monotonic seconds until which the result of `task` is valid."""

    task: asyncio.Task[ForecastLoad]
    last: ForecastLoad | None
    until: float = float("inf")


class LoadReader(Query):
    """Computes the load of a forecast once, and again while jobs have not finished a run yet."""

    def __init__(self, durations: DurationReader, clock: Clock) -> None:
        self._durations = durations
        self._clock = clock
        self._readings: WeakKeyDictionary[Forecast, _Reading] = WeakKeyDictionary()

    async def read(self, forecast: Forecast) -> ForecastLoad | None:
        """Return the load; None while it is computed. Raises StoreError."""
        reading = self._readings.get(forecast)
        if reading is None or self._clock.monotonic() >= reading.until:
            last = None if reading is None else reading.task.result()
            reading = _Reading(asyncio.ensure_future(self._compute(forecast)), last)
            self._readings[forecast] = reading
        await asyncio.wait([reading.task], timeout=MAX_WAIT_S)
        if not reading.task.done():
            return reading.last
        if reading.task.cancelled() or reading.task.exception() is not None:
            self._readings.pop(forecast, None)
        elif reading.until == float("inf"):
            is_whole = not reading.task.result().cells.unknown
            reading.until = self._clock.monotonic() + (CACHED_SECONDS if is_whole else UNKNOWN_CACHED_SECONDS)
        return reading.task.result()

    async def _compute(self, forecast: Forecast) -> ForecastLoad:
        durations = await self._durations.read(forecast.counts.due)
        cells = await finish(compute_load(forecast.counts, durations))
        return ForecastLoad(cells, await finish(find_contention(forecast.counts, durations)))
