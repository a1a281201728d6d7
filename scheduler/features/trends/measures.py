"""What of a job's runs can change its level, read from the counts of its hours. Pure.

A further measure is an entry of MEASURES and of MeasureName.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from jobs.formats import describe_milliseconds
from jobs.objectives import format_percent
from jobs.runs.histogram import Histogram
from jobs.trends import (
    FAILED_SHARES,
    MINIMUM_RUNS,
    TIMES,
    LevelChange,
    LevelScale,
    MeasureName,
    find_level_changes,
    level_of_lateness,
    level_of_times,
)
from scheduler.features.statistics.sums import StatsSums
from scheduler.features.trends.models import LevelChangeModel, LevelModel
from scheduler.stores.runs.rollups.tally import Tally

Hours = Mapping[datetime, Tally]


@dataclass(frozen=True, slots=True)
class Measure:
    """`name`: for people. `value`: what a run must have to count. `worse`, `better`: begin the headline of a change.
    `level_of`: None with fewer than MINIMUM_RUNS runs. `times_of`: None of the success rate.
    """

    name: str
    value: str
    worse: str
    better: str
    level_of: Callable[[Tally], float | None]
    times_of: Callable[[Tally], Histogram] | None
    scale: LevelScale = TIMES


def _level_of_failures(tally: Tally) -> float | None:
    rate = StatsSums(tally).success_rate
    is_enough = tally.outcomes[0] + tally.down >= MINIMUM_RUNS
    return None if rate is None or not is_enough else 1 - rate


MEASURES: Final[Mapping[MeasureName, Measure]] = {
    "response_time": Measure(
        "p95",
        "a response",
        "Slower",
        "Faster",
        lambda tally: level_of_times(tally.response_time.encode()),
        lambda tally: tally.response_time,
    ),
    "duration": Measure(
        "p95 duration",
        "an attempt",
        "Slower",
        "Faster",
        lambda tally: level_of_times(tally.duration.encode()),
        lambda tally: tally.duration,
    ),
    "success_rate": Measure(
        "success rate", "a result", "Failing more", "Failing less", _level_of_failures, None, FAILED_SHARES
    ),
    "lateness": Measure(
        "p95 lateness",
        "a planned start",
        "Later",
        "Less late",
        lambda tally: level_of_lateness(tally.lateness.encode()),
        lambda tally: tally.lateness,
    ),
}


def list_levels(hours: Hours, measure: MeasureName) -> Mapping[datetime, float]:
    """Return the level of each hour that has enough runs."""
    level_of = MEASURES[measure].level_of
    levels = ((begin, level_of(tally)) for begin, tally in hours.items())
    return {begin: level for begin, level in levels if level is not None}


def find_changes(
    hours: Hours, levels: Mapping[datetime, float], measure: MeasureName, zone: tzinfo
) -> list[LevelChangeModel]:
    """Return the changes of a measure, the oldest first, without what happened near them."""
    changes = find_level_changes(levels, zone, MEASURES[measure].scale)
    return [_describe(hours, measure, change) for change in changes]


def _describe(hours: Hours, measure: MeasureName, change: LevelChange) -> LevelChangeModel:
    before = _sum_up(tally for begin, tally in hours.items() if change.since <= begin < change.at)
    after = _sum_up(tally for begin, tally in hours.items() if change.at <= begin < change.until)
    was, now = _describe_level(before, measure), _describe_level(after, measure)
    return LevelChangeModel(
        measure=measure,
        at=change.at,
        ratio=_find_ratio(change, was, now),
        is_worse=change.difference > 0,
        text=f"{MEASURES[measure].name} was {format_level(was)} until {change.at:%Y-%m-%d %H:%M} UTC, "
        f"{format_level(now)} since",
        before=was,
        after=now,
        nearby=[],
    )


def _sum_up(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.merge(tally)
    return total


def _find_ratio(change: LevelChange, was: LevelModel, now: LevelModel) -> float | None:
    if now.success_rate is None:
        return round(math.exp(change.difference), 3)
    return round(now.success_rate / was.success_rate, 3) if was.success_rate else None


def _describe_level(tally: Tally, measure: MeasureName) -> LevelModel:
    times_of = MEASURES[measure].times_of
    if times_of is None:
        rate = StatsSums(tally).success_rate
        counted = tally.outcomes[0] + tally.down
        return LevelModel(runs=counted, success_rate=rate, p50_ms=None, p95_ms=None, p99_ms=None)
    times = times_of(tally)
    p50, p95, p99 = (times.quantile(share) for share in (0.5, 0.95, 0.99))
    return LevelModel(runs=times.total, success_rate=None, p50_ms=p50, p95_ms=p95, p99_ms=p99)


def format_level(level: LevelModel) -> str:
    """Return the success rate, rounded down, or the 95th percentile: `99.87%`, `180 ms`."""
    if level.success_rate is not None:
        return format_percent(math.floor(level.success_rate * 10_000) / 10_000)
    return describe_milliseconds(level.p95_ms or 0.0)
