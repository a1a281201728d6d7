"""The load of a plan: runs and the work that they need, before and after it. Pure. Called by `plan --markdown`.

Computed as the schedule page of the dashboard does, for the next 24 h; pauses and windows are not considered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from jobs.schedules import to_milliseconds
from scheduler.queries.forecast.contention import GroupContention, find_contention
from scheduler.queries.forecast.counters import CounterFactory
from scheduler.queries.forecast.counting import ForecastCounts, count_due
from scheduler.queries.forecast.grid import ForecastGrid, ForecastRange, create_grid
from scheduler.queries.forecast.load import compute_load
from scheduler.queries.forecast.suspensions import SuspensionFinder
from scheduler.turns import finish_at_once

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from scheduler.queries.forecast.durations import RunDuration

Result = TypeVar("Result")

LOAD_RANGE: Final = ForecastRange.DAY
_RANGE_MARGIN: Final = timedelta(hours=1)


class Peak(NamedTuple):
    """The highest value of a cell of ten minutes, and where it begins."""

    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class LoadSide:
    """`runs`: of the next 24 h. `rate`: runs a second. `busiest`: its peak. `concurrency`: the peak of the mean number
    of runs in-flight. `unknown`: scheduled jobs without a finished run, whose work is not included. `groups`:
    concurrency groups in which runs wait.
    """

    jobs: int
    runs: int
    rate: float
    busiest: Peak
    concurrency: Peak
    unknown: int
    groups: Sequence[GroupContention]
    is_estimated: bool


@dataclass(frozen=True, slots=True)
class LoadChange:
    before: LoadSide
    after: LoadSide


def compute_load_change(
    before: Iterable[JobDefinition],
    after: Iterable[JobDefinition],
    durations: Mapping[str, RunDuration],
    zone: tzinfo,
    now: datetime,
) -> LoadChange:
    """Return the load of both sets of jobs. Takes half a second for 5,000 jobs."""
    grid = create_grid(LOAD_RANGE, zone, now)
    counters = CounterFactory(to_milliseconds(grid.since - _RANGE_MARGIN), to_milliseconds(grid.until + _RANGE_MARGIN))
    return LoadChange(*(_compute_side(jobs, durations, grid, counters) for jobs in (before, after)))


def _compute_side(
    jobs: Iterable[JobDefinition], durations: Mapping[str, RunDuration], grid: ForecastGrid, counters: CounterFactory
) -> LoadSide:
    nothing = SuspensionFinder({}, (), (), grid.since, grid.until)
    counts: ForecastCounts = finish_at_once(count_due(jobs, grid, counters, nothing))
    load = finish_at_once(compute_load(counts, durations))
    groups = [each for each in finish_at_once(find_contention(counts, durations)) if each.is_contended]
    rates = [runs / cell.seconds for runs, cell in zip(counts.every.runs, grid.cells, strict=True)]
    seconds = (grid.until - grid.since).total_seconds()
    return LoadSide(
        jobs=counts.jobs,
        runs=counts.runs,
        rate=counts.runs / seconds,
        busiest=_find_peak(rates, grid),
        concurrency=_find_peak(load.concurrency, grid),
        unknown=load.unknown,
        groups=groups,
        is_estimated=counts.is_estimated,
    )


def _find_peak(values: Sequence[float], grid: ForecastGrid) -> Peak:
    cell = max(range(len(values)), key=values.__getitem__)
    return Peak(values[cell], grid.cells[cell].begin)
