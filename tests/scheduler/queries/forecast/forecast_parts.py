"""Jobs and counts for the tests of scheduler.queries.forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from jobs.definition import JobDefinition
from scheduler.features.forecast.counting import ForecastCounts, count_due
from scheduler.features.forecast.grid import MAX_LISTED, CounterFactory, ForecastRange, create_grid
from scheduler.features.forecast.schedule_changes import SuspensionFinder
from scheduler.stores.gates import Pause
from scheduler.turns import finish_at_once

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def define(name: str, schedule: object, **more: object) -> JobDefinition:
    check = {"kind": "http", "url": "http://127.0.0.1:9/"}
    return JobDefinition.model_validate({"name": name, "schedule": schedule, "check": check, **more})


def count(
    jobs: Sequence[JobDefinition],
    now: datetime = NOW,
    chosen: ForecastRange = ForecastRange.DAY,
    zone: str = "UTC",
    pauses: Mapping[str, Pause] = {},
    max_listed: int = MAX_LISTED,
) -> ForecastCounts:
    grid = create_grid(chosen, ZoneInfo(zone), now)
    factory = CounterFactory(grid.edges[0] - 1000, grid.edges[-1], max_listed)
    return finish_at_once(count_due(jobs, grid, factory, SuspensionFinder(pauses, (), (), grid.since, grid.until)))
