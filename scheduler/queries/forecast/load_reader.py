"""Reads the load of a forecast: lanes, concurrent runs and contention of groups. Used by the schedule page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from jobs.ports import Clock
from scheduler.queries.forecast.contention import GroupContention, find_contention
from scheduler.queries.forecast.durations import CACHED_SECONDS, UNKNOWN_CACHED_SECONDS, DurationReader
from scheduler.queries.forecast.load import CellLoad, compute_load
from scheduler.queries.forecast.reader import Forecast
from scheduler.turns import finish

MAX_WAIT_S: Final = 0.5
"""Seconds that a request waits for the load of thousands of jobs. A later one has it."""


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


class LoadReader:
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
