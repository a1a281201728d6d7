"""Finds the hours with runs that were slow or late enough for a rule, from the counts of runs by hour.

Used by scheduler.alerting.backtest.history.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from jobs.alerting.conditions.lateness import LatenessCondition
from jobs.alerting.conditions.response_time import ResponseTimeCondition
from jobs.runs.histogram import Histogram, bucket_of
from scheduler.alerting.backtest.read_ranges import DueTimeRange
from scheduler.stores.runs.reading import RunReads

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


async def list_slow_hours(
    runs: RunReads, job: str, condition: LatenessCondition | ResponseTimeCondition, within: DueTimeRange
) -> list[DueTimeRange]:
    """Return the hours to read, each with the window of the condition after it. Raises StoreError."""
    since = within.begin.replace(minute=0, second=0, microsecond=0)
    until = within.end.replace(minute=0, second=0, microsecond=0) + _HOUR
    limit = bucket_of(_limit_ms(condition))
    divided: list[datetime] = []
    found: list[DueTimeRange] = []
    window = _HOUR if isinstance(condition, LatenessCondition) else timedelta(seconds=condition.window)
    for part in await runs.list_rollups(job, since, until):
        if not _has_above(_histogram_of(condition, part.rollup.tally), limit):
            continue
        if part.span > _HOUR:
            divided.append(part.start + _HOUR)
        else:
            found.append(DueTimeRange(part.start - window, part.end + window))
    for instant in divided:
        day = instant - _HOUR
        found += [
            DueTimeRange(part.start - window, part.end + window)
            for part in await runs.list_rollups(job, day, day + _DAY, [instant])
            if _has_above(_histogram_of(condition, part.rollup.tally), limit)
        ]
    return found


def _limit_ms(condition: LatenessCondition | ResponseTimeCondition) -> float:
    if isinstance(condition, LatenessCondition):
        return condition.lateness_above * 1000
    limits = [condition.response_time_above, condition.close_at or condition.response_time_above]
    return min(limits) * 1000


def _histogram_of(condition: LatenessCondition | ResponseTimeCondition, tally: object) -> Histogram:
    name = "lateness" if isinstance(condition, LatenessCondition) else "response_time"
    histogram: Histogram = getattr(tally, name)
    return histogram


def _has_above(histogram: Histogram, limit: int) -> bool:
    """The bucket of the limit counts, as it holds durations on both sides."""
    first, *counts = histogram.encode() or [0]
    return first + len(counts) - 1 >= limit
