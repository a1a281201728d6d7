"""The expected load of a forecast: concurrent runs of each cell, and the jobs that take most of the time. Pure.

Called by scheduler.queries.forecast.load_reader. A duration is the 95th percentile where it is known, so that the load
is rather too high than too low.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

from scheduler.queries.forecast.counters import InstantCounter
from scheduler.queries.forecast.counting import DueJob, ForecastCounts, count_spans
from scheduler.queries.forecast.durations import RunDuration
from scheduler.queries.forecast.grid import ForecastGrid
from scheduler.queries.forecast.suspensions import MillisecondSpan
from scheduler.queries.forecast.upcoming import iterate_runs

MAX_LANES: Final = 20
MAX_BARS: Final = 300
"""Runs of a lane that are shown one by one; more form a band."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A job with its expected times of work. `bars`: from and until in milliseconds; None: too many to show.

    `share`: of the range in which a run of the job is expected to be in-flight; above 1 if runs overlap.
    """

    due: DueJob
    duration: RunDuration
    share: float
    bars: Sequence[MillisecondSpan] | None


@dataclass(frozen=True, slots=True)
class CellLoad:
    """`lanes`: of all jobs; `rare_lanes`: of those that are not frequent.

    `concurrency`: the mean number of runs that are expected to be in-flight in each cell.

    `unknown`: the number of due jobs without a finished run, which are not included.
    """

    lanes: Sequence[Lane]
    rare_lanes: Sequence[Lane]
    concurrency: Sequence[float]
    unknown: int


def compute_load(counts: ForecastCounts, durations: Mapping[str, RunDuration]) -> Generator[None, None, CellLoad]:
    """Return the load of a forecast."""
    weights: dict[tuple[InstantCounter, tuple[MillisecondSpan, ...]], float] = {}
    busy: list[tuple[float, str, DueJob]] = []
    for due in counts.due:
        duration = durations.get(due.job.name)
        if duration is not None:
            key = due.counter, due.suspensions.spans
            weights[key] = weights.get(key, 0.0) + duration.milliseconds
            busy.append((due.runs * duration.milliseconds, due.job.name, due))
        yield
    concurrency = yield from _add_up(counts.grid, weights)
    lanes = yield from _create_lanes(counts.grid, durations, busy)
    rare_lanes = yield from _create_lanes(counts.grid, durations, [each for each in busy if not each[2].is_frequent])
    return CellLoad(lanes, rare_lanes, concurrency, len(counts.due) - len(busy))


def _create_lanes(
    grid: ForecastGrid, durations: Mapping[str, RunDuration], busy: Sequence[tuple[float, str, DueJob]]
) -> Generator[None, None, Sequence[Lane]]:
    lanes: list[Lane] = []
    for busy_ms, name, due in nlargest(MAX_LANES, busy, key=lambda each: (each[0], each[1])):
        if busy_ms:
            lanes.append(_create_lane(grid, due, durations[name], busy_ms))
            yield
    return lanes


def _add_up(
    grid: ForecastGrid, weights: Mapping[tuple[InstantCounter, tuple[MillisecondSpan, ...]], float]
) -> Generator[None, None, Sequence[float]]:
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
