"""Sums of rollups: counts, uptime, and runs by local hour of the day. Pure. Used by
scheduler.queries.statistics.reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

from jobs.runs.histogram import Histogram, unpack
from jobs.runs.uptime import Uptime
from scheduler.stores.runs.rollups.reading import RollupPart
from scheduler.stores.runs.rollups.tally import Tally, pack_hour

_HOUR = timedelta(hours=1)
_HOURS = 24


class HoursOfDay:
    """The local hours of the days (UTC) of one request."""

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self._by_day: dict[datetime, tuple[int, ...]] = {}

    def of_day(self, day: datetime) -> tuple[int, ...]:
        """Return the local hour of the day at each hour of a day in UTC."""
        found = self._by_day.get(day)
        if found is None:
            first, last = ((day + hour * _HOUR).astimezone(self.zone) for hour in (0, _HOURS - 1))
            if first.utcoffset() == last.utcoffset():
                found = tuple((first.hour + hour) % _HOURS for hour in range(_HOURS))
            else:
                found = tuple((day + hour * _HOUR).astimezone(self.zone).hour for hour in range(_HOURS))
            self._by_day[day] = found
        return found


@dataclass(slots=True)
class StatsSums:
    """`hours`: counts of the hours of days in UTC (see tally.pack_hour), by the local hours of these days."""

    tally: Tally = field(default_factory=Tally)
    uptime: Uptime = field(default_factory=Uptime)
    hours: dict[tuple[int, ...], int] = field(default_factory=dict)

    def add(self, part: RollupPart, hours: HoursOfDay) -> None:
        rollup, day = part.rollup, part.start
        self.tally.merge(rollup.tally)
        if rollup.segment is not None:
            self.uptime += rollup.segment.uptime
        by_hour = rollup.by_hour
        if part.span == _HOUR:
            by_hour, day = pack_hour(day.hour, rollup.tally.runs, rollup.tally.down), day.replace(hour=0)
        local = hours.of_day(day)
        self.hours[local] = self.hours.get(local, 0) + by_hour

    def merge(self, other: StatsSums) -> None:
        self.tally.merge(other.tally)
        self.uptime += other.uptime
        for local, by_hour in other.hours.items():
            self.hours[local] = self.hours.get(local, 0) + by_hour

    @property
    def by_hour(self) -> list[list[int]]:
        """Runs and runs that are down for each local hour of the day."""
        found = [[0, 0] for _ in range(_HOURS)]
        for local, packed in self.hours.items():
            first, *counts = unpack(packed) or [0]
            for place, count in enumerate(counts, first):
                found[local[place // 2]][place % 2] += count
        return found

    @property
    def success_rate(self) -> float | None:
        """Share of succeeded runs among those that succeeded or were down; None without one."""
        succeeded = self.tally.outcomes[0]
        counted = succeeded + self.tally.down
        return succeeded / counted if counted else None

    @property
    def uptime_ratio(self) -> float | None:
        """The same without backfills; None without a run."""
        return self.uptime.ratio if self.uptime.sample_count else None

    def busiest_hours(self) -> list[tuple[int, int, int]]:
        """Return hour of the day, runs, and runs that are down; the hour with most runs first, without idle hours."""
        found = ((hour, runs, down) for hour, (runs, down) in enumerate(self.by_hour) if runs)
        return sorted(found, key=lambda one: (-one[1], one[0]))


def quantiles(histogram: Histogram) -> tuple[float | None, float | None, float | None]:
    """Return p50, p95 and p99 in milliseconds; None without a value."""
    p50, p95, p99 = (histogram.quantile(share) for share in (0.5, 0.95, 0.99))
    return p50, p95, p99
