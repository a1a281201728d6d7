"""Sums rollups: counts, uptime, runs by local hour of the day, and counts in equal spans of time for charts. Pure.

In a chart, a period of some days has hours, a longer one days in UTC. A period of some hours has shorter spans, which
are counted from the runs themselves, as long as these are few.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from math import ceil
from statistics import fmean

from jobs.runs import Phases, Run
from jobs.runs.histogram import Histogram, unpack
from jobs.runs.uptime import Uptime
from scheduler.stores.runs.rollups.reading import RollupPart
from scheduler.stores.runs.rollups.tally import PLACES, Tally, pack_hour

_HOUR = timedelta(hours=1)
_HOURS = 24


class HoursOfDay:
    """The local hours of the days (UTC) of one request."""

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self._by_day: dict[datetime, tuple[int, ...]] = {}

    def of_day(self, day: datetime) -> tuple[int, ...]:
        """Return the local hour of the day at each hour of a day in UTC."""
        local_hours = self._by_day.get(day)
        if local_hours is None:
            first, last = ((day + hour * _HOUR).astimezone(self.zone) for hour in (0, _HOURS - 1))
            if first.utcoffset() == last.utcoffset():
                local_hours = tuple((first.hour + hour) % _HOURS for hour in range(_HOURS))
            else:
                local_hours = tuple((day + hour * _HOUR).astimezone(self.zone).hour for hour in range(_HOURS))
            self._by_day[day] = local_hours
        return local_hours


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
        counts_by_hour = [[0, 0] for _ in range(_HOURS)]
        for local, packed in self.hours.items():
            first, *counts = unpack(packed) or [0]
            for place, count in enumerate(counts, first):
                counts_by_hour[local[place // 2]][place % 2] += count
        return counts_by_hour

    @property
    def success_rate(self) -> float | None:
        """Share of succeeded runs among those that succeeded or were down; None without one."""
        succeeded = self.tally.outcomes[0]
        counted = succeeded + self.tally.down
        return succeeded / counted if counted else None

    @property
    def uptime_ratio(self) -> float | None:
        """Share of runs that were up, without backfills; None without a run."""
        return self.uptime.ratio if self.uptime.sample_count else None

    def busiest_hours(self) -> list[tuple[int, int, int]]:
        """Return hour of the day, runs, and runs that are down; the hour with most runs first, without idle hours."""
        found = ((hour, runs, down) for hour, (runs, down) in enumerate(self.by_hour) if runs)
        return sorted(found, key=lambda one: (-one[1], one[0]))


def quantiles(histogram: Histogram) -> tuple[float | None, float | None, float | None]:
    """Return p50, p95 and p99 in milliseconds; None without a value."""
    p50, p95, p99 = (histogram.quantile(share) for share in (0.5, 0.95, 0.99))
    return p50, p95, p99


MAX_IN_HOURS = timedelta(days=8)
"""A longer period has a point a day."""
MAX_FROM_RUNS = timedelta(hours=6)
"""A longer period is read from the rollups."""
_DAY = timedelta(days=1)
_MAX_POINTS = 80
_SHORT_SPANS = tuple(timedelta(seconds=seconds) for seconds in (10, 30, 60, 120, 300, 600))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """The runs that were due in `span` from `start` on; the tally is empty without runs.

    `phases`: the mean milliseconds of each of PHASES in their last attempts; None unless counted from the runs.
    """

    start: datetime
    tally: Tally
    phases: Sequence[float] | None = None


@dataclass(frozen=True)
class RunSeries:
    """`points`: one for each span, in the order of time."""

    span: timedelta
    points: Sequence[SeriesPoint]

    @cached_property
    def total(self) -> Tally:
        found = Tally()
        for point in self.points:
            found.merge(point.tally)
        return found


def span_of_rollups(length: timedelta) -> timedelta:
    """Return the span of the points of a period that is read from rollups."""
    return _HOUR if length <= MAX_IN_HOURS else _DAY


def list_dividing_instants(since: datetime, until: datetime) -> list[datetime]:
    """Return an instant within each day, so that a read returns the hours of these days."""
    first = floor_instant(since, _DAY)
    return [first + number * _DAY + _HOUR for number in range(ceil((until - first) / _DAY))]


def sum_parts(parts: Iterable[RollupPart], since: datetime, until: datetime, span: timedelta) -> RunSeries:
    """Return the series of a period of parts, each of which is within one span."""
    tallies = _create_tallies(since, until, span)
    for part in parts:
        tally = tallies.get(floor_instant(part.start, span))
        if tally is not None:
            tally.merge(part.rollup.tally)
    return _create_series(tallies, span)


def sum_runs_of_period(runs: Iterable[Run], since: datetime, until: datetime) -> RunSeries:
    """Return the series of a short period of its runs."""
    span = next((one for one in _SHORT_SPANS if (until - since) / one <= _MAX_POINTS), _SHORT_SPANS[-1])
    tallies = _create_tallies(since, until, span)
    phases = defaultdict[datetime, list[Sequence[float]]](list)
    for run in runs:
        start = floor_instant(run.due_at, span)
        tally = tallies.get(start)
        if tally is not None and since <= run.due_at < until:
            _add_run(tally, run)
            if run.attempts and not run.starved:
                phases[start].append(_list_phases(run.attempts[-1].phases))
    means = {start: [fmean(values) for values in zip(*found, strict=True)] for start, found in phases.items()}
    return RunSeries(span, tuple(SeriesPoint(start, tally, means.get(start)) for start, tally in tallies.items()))


PHASES = ("dns", "connect", "tls", "first_byte", "body")
"""Of a response time, in their order. The last one is what the others leave of it."""


def _list_phases(phases: Phases) -> Sequence[float]:
    parts = [each or 0.0 for each in (phases.dns_ms, phases.connect_ms, phases.tls_ms, phases.first_byte_ms)]
    return (*parts, max(phases.total_ms - sum(parts), 0.0))


def find_usual_times(parts: Iterable[RollupPart]) -> Mapping[int, tuple[float, float]]:
    """Return the usual response times at each hour of the day in UTC: 80 % of all are between both.

    `parts`: hours of some days. An hour of the day with fewer than MIN_USUAL responses is omitted.
    """
    by_hour = defaultdict[int, Histogram](Histogram)
    for part in parts:
        by_hour[part.start.hour].merge(part.rollup.tally.response_time)
    return {
        hour: (found.quantile(0.1) or 0.0, found.quantile(0.9) or 0.0)
        for hour, found in by_hour.items()
        if found.total >= MIN_USUAL
    }


MIN_USUAL = 20


def _add_run(tally: Tally, run: Run) -> None:
    """Count a run as the rollups do."""
    tally.outcomes[PLACES[run.outcome]] += 1
    tally.unknown += run.is_unknown
    if not run.attempts or run.is_unknown:
        return
    tally.attempts += len(run.attempts)
    tally.retried += run.retried
    tally.degraded += run.degraded
    tally.duration.add(run.duration_ms)
    if not run.starved:
        tally.response_time.add(run.attempts[-1].phases.total_ms)
    if not run.trigger.is_rerun:
        tally.lateness.add(run.lateness_ms)


def _create_tallies(since: datetime, until: datetime, span: timedelta) -> dict[datetime, Tally]:
    return {start: Tally() for start in _iterate_starts(since, until, span)}


def _iterate_starts(since: datetime, until: datetime, span: timedelta) -> Iterator[datetime]:
    start = floor_instant(since, span)
    while start < until:
        yield start
        start += span


def _create_series(tallies: dict[datetime, Tally], span: timedelta) -> RunSeries:
    return RunSeries(span, tuple(SeriesPoint(start, tally) for start, tally in tallies.items()))


def floor_instant(instant: datetime, span: timedelta) -> datetime:
    """Return the beginning of the span of an instant."""
    return instant - (instant - _EPOCH) % span
