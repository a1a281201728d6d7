"""The counts of a job's runs in equal spans of time, for charts. Pure. Used by scheduler.queries.statistics.reader.

A period of some days has hours, a longer one days in UTC. A period of some hours has shorter spans, which are counted
from the runs themselves, as long as these are few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

from jobs.runs import Run
from scheduler.stores.runs.rollups.reading import RollupPart
from scheduler.stores.runs.rollups.tally import PLACES, Tally

LONGEST_IN_HOURS = timedelta(days=8)
"""A longer period has a point a day."""
LONGEST_FROM_RUNS = timedelta(hours=6)
"""A longer period is read from the rollups."""
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_MOST_POINTS = 80
_SHORT_SPANS = tuple(timedelta(seconds=seconds) for seconds in (10, 30, 60, 120, 300, 600))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """The runs that were due in `span` from `start` on; the tally is empty without runs."""

    start: datetime
    tally: Tally


@dataclass(frozen=True, slots=True)
class RunSeries:
    """`points`: one for each span, in the order of time."""

    span: timedelta
    points: Sequence[SeriesPoint]

    @property
    def total(self) -> Tally:
        found = Tally()
        for point in self.points:
            found.merge(point.tally)
        return found


def span_of_rollups(length: timedelta) -> timedelta:
    """Return the span of the points of a period that is read from rollups."""
    return _HOUR if length <= LONGEST_IN_HOURS else _DAY


def list_dividing_instants(since: datetime, until: datetime) -> list[datetime]:
    """Return an instant within each day, so that a read returns the hours of these days."""
    first = _floor(since, _DAY)
    return [first + number * _DAY + _HOUR for number in range(ceil((until - first) / _DAY))]


def sum_parts(parts: Iterable[RollupPart], since: datetime, until: datetime, span: timedelta) -> RunSeries:
    """Return the series of a period of parts, each of which is within one span."""
    tallies = _create_tallies(since, until, span)
    for part in parts:
        tally = tallies.get(_floor(part.start, span))
        if tally is not None:
            tally.merge(part.rollup.tally)
    return _create_series(tallies, span)


def sum_runs_of_period(runs: Iterable[Run], since: datetime, until: datetime) -> RunSeries:
    """Return the series of a short period of its runs."""
    span = next((one for one in _SHORT_SPANS if (until - since) / one <= _MOST_POINTS), _SHORT_SPANS[-1])
    tallies = _create_tallies(since, until, span)
    for run in runs:
        tally = tallies.get(_floor(run.due_at, span))
        if tally is not None and since <= run.due_at < until:
            _add_run(tally, run)
    return _create_series(tallies, span)


def _add_run(tally: Tally, run: Run) -> None:
    """Count a run as the rollups do."""
    tally.outcomes[PLACES[run.outcome]] += 1
    if not run.attempts:
        return
    tally.attempts += len(run.attempts)
    tally.retried += run.retried
    tally.degraded += run.degraded
    tally.duration.add(run.duration_ms)
    tally.response_time.add(run.attempts[-1].phases.total_ms)
    if not run.trigger.is_rerun:
        tally.lateness.add(run.lateness_ms)


def _create_tallies(since: datetime, until: datetime, span: timedelta) -> dict[datetime, Tally]:
    return {start: Tally() for start in _iterate_starts(since, until, span)}


def _iterate_starts(since: datetime, until: datetime, span: timedelta) -> Iterator[datetime]:
    start = _floor(since, span)
    while start < until:
        yield start
        start += span


def _create_series(tallies: dict[datetime, Tally], span: timedelta) -> RunSeries:
    return RunSeries(span, tuple(SeriesPoint(start, tally) for start, tally in tallies.items()))


def _floor(instant: datetime, span: timedelta) -> datetime:
    return instant - (instant - _EPOCH) % span
