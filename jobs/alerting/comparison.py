"""Whole hours of a job's response times, and the same hours of earlier days, which conditions compare. Pure.

The hours are those of the rollups (scheduler.stores.runs.rollups), so that neither an evaluation nor a backtest reads
runs. An hour is complete SETTLE after its end: a run can finish and be recorded later than that of the next hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from jobs.fast_frozen import fast_frozen
from jobs.runs.histogram import Histogram, quantile_of
from jobs.schedules.time_zones import load_time_zone


class HourSpan(NamedTuple):
    """From `begin`, inclusive, to `end`, exclusive. Both aware UTC."""

    begin: datetime
    end: datetime


SETTLE = timedelta(minutes=2)
HOUR = timedelta(hours=1)


def last_complete_hour(now: datetime) -> datetime:
    """Return the end of the newest hour that is complete, in UTC."""
    return (now - SETTLE).astimezone(UTC).replace(minute=0, second=0, microsecond=0)


@fast_frozen(frozen=True, slots=True)
class HoursNeed:
    """`hours`: those up to the last complete one, and the same ones `step_days`, 2 `step_days` and so on before.

    `count`: how often. They are the same by the clocks of `zone`, a name of the IANA time zones.
    """

    hours: int
    step_days: int
    count: int
    zone: str = "UTC"

    @lru_cache(maxsize=4096)  # noqa: B019 - a backtest asks for the same hours for each job
    def list_periods(self, end: datetime) -> Sequence[HourSpan]:
        """Return the period that ends at this full hour in UTC, and the earlier ones, the newest first."""
        zone = load_time_zone(self.zone).info
        local = end.astimezone(zone).replace(tzinfo=None)
        steps = (local - timedelta(days=self.step_days * number) for number in range(1, self.count + 1))
        ends = (step.replace(tzinfo=zone).astimezone(UTC) for step in steps)
        length = self.hours * HOUR
        return [HourSpan(each - length, each) for each in (end, *(each.replace(minute=0) for each in ends))]

    @property
    def reach(self) -> timedelta:
        """The time from the begin of the oldest period to now, at most."""
        return timedelta(days=self.step_days * self.count + 1, hours=self.hours)


@fast_frozen(frozen=True, slots=True)
class ComparedHours:
    """Response times of the latest period, and of the earlier ones, the newest first.

    `latest`: None while a part of it does not count, as in a maintenance window. `earlier`: None for one of which a
    part does not count, or in which the job had an incident. `has_history`: the job ran before the oldest period.
    """

    period: HourSpan
    latest: Histogram | None
    earlier: tuple[Histogram | None, ...]
    has_history: bool


@fast_frozen(frozen=True, slots=True)
class ResponseHours:
    """The response times of a job by the begin of each hour, as encoded histograms. `first`: when the history begins.

    `uncounted`: times in windows with `counts: false`, and of a blind scheduler. `incidents`: of the job.
    """

    hours: Mapping[datetime, Sequence[int]]
    first: datetime | None
    uncounted: tuple[HourSpan, ...] = ()
    incidents: tuple[HourSpan, ...] = ()

    def compare(self, need: HoursNeed, end: datetime) -> ComparedHours:
        """Return what a condition compares at the end of an hour."""
        latest, *earlier = need.list_periods(end)
        return ComparedHours(
            latest,
            self.sum_period(latest, is_earlier=False),
            tuple(self.sum_period(each, is_earlier=True) for each in earlier),
            self.first is not None and self.first < earlier[-1].end,
        )

    def counts(self, period: HourSpan, *, is_earlier: bool) -> bool:
        """Return whether all of a period counts: as the latest one, or as an earlier one."""
        begin, end = period
        for first, last in chain(self.uncounted, self.incidents if is_earlier else ()):
            if first < end and begin < last:
                return False
        return True

    def list_excluded(self, length: timedelta, *, is_earlier: bool) -> frozenset[datetime]:
        """Return the begin of each period of full hours that does not count."""
        found = set()
        for begin, end in chain(self.uncounted, self.incidents if is_earlier else ()):
            at = begin.replace(minute=0, second=0, microsecond=0) - length + HOUR
            while at < end:
                found.add(at)
                at += HOUR
        return frozenset(found)

    def measure(self, period: HourSpan, share: float, minimum_runs: int) -> float | None:
        """Return the percentile of a period in milliseconds; None with fewer runs."""
        return quantile_of(self._sum(period).encode(), share, minimum_runs)

    def sum_period(self, period: HourSpan, *, is_earlier: bool) -> Histogram | None:
        """Return the response times of a period; None if a part of it does not count."""
        if not self.counts(period, is_earlier=is_earlier):
            return None
        return self._sum(period)

    def _sum(self, period: HourSpan) -> Histogram:
        total, at = Histogram(), period.begin
        while at < period.end:
            hour = self.hours.get(at)
            if hour is not None:
                total.merge(Histogram.decode(hour))
            at += HOUR
        return total
