"""Uptime: the share of successful runs, their mean response time, and the downtime of each month. Pure.

Used for rollups, which store the sums of each hour, and for the uptime that is read from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal

from jobs.fast_frozen import fast_frozen

UptimeMark = Literal["up", "down", "pending", "maintenance"]
"""The result of one sample. `pending` (a retry follows) counts as down, `maintenance` does not count."""


@fast_frozen(frozen=True, slots=True)
class UptimeSample:
    """One sample. `ms`: response time in milliseconds, if it is up."""

    mark: UptimeMark
    ms: float | None = None


@dataclass(frozen=True, slots=True)
class Uptime:
    """`timed`: number of `up` samples with a response time; `total_ms`: the sum of these."""

    up: int = 0
    down: int = 0
    timed: int = 0
    total_ms: float = 0.0

    def __add__(self, other: Uptime) -> Uptime:
        return Uptime(
            self.up + other.up, self.down + other.down, self.timed + other.timed, self.total_ms + other.total_ms
        )

    @property
    def sample_count(self) -> int:
        """Number of samples that count."""
        return self.up + self.down

    @property
    def ratio(self) -> float:
        """From 0 to 1. 0 without samples: see `sample_count`."""
        return self.up / self.sample_count if self.sample_count else 0.0

    @property
    def mean_ms(self) -> float | None:
        """Mean response time of the samples that are up; None without one."""
        return self.total_ms / self.timed if self.timed else None


def sum_samples(samples: Iterable[UptimeSample]) -> Uptime:
    """Aggregate the samples."""
    up = down = timed = 0
    total = 0.0
    for look in samples:
        if look.mark == "up":
            up += 1
            if look.ms is not None:
                timed, total = timed + 1, total + look.ms
        elif look.mark != "maintenance":
            down += 1
    return Uptime(up, down, timed, total)


@dataclass(frozen=True, slots=True)
class UptimeSegment:
    """Consecutive samples within one hour, aggregated so that adjacent segments can be added.

    The state of the last sample lasts until the next one.
    """

    first: datetime
    last: datetime
    starts_down: bool
    ends_down: bool
    seconds: float
    """Downtime between the first and the last sample."""
    outages: int
    uptime: Uptime

    @staticmethod
    def from_samples(samples: Sequence[tuple[datetime, UptimeSample]]) -> UptimeSegment:
        """Aggregate one or more samples, in order of time."""
        seconds, outages = 0.0, 0
        down, before = False, samples[0][0]
        for at, look in samples:
            if down:
                seconds += (at - before).total_seconds()
            was_down, down, before = down, look.mark in ("down", "pending"), at
            outages += down and not was_down
        began_down = samples[0][1].mark in ("down", "pending")
        return UptimeSegment(
            samples[0][0], before, began_down, down, seconds, outages, sum_samples(look for _, look in samples)
        )

    def __add__(self, other: UptimeSegment) -> UptimeSegment:
        """Join two segments, in any order."""
        earlier, later = (self, other) if self.first <= other.first else (other, self)
        between = max(0.0, (later.first - earlier.last).total_seconds()) if earlier.ends_down else 0.0
        return UptimeSegment(
            earlier.first,
            max(earlier.last, later.last),
            earlier.starts_down,
            (earlier if earlier.last > later.last else later).ends_down,
            earlier.seconds + between + later.seconds,
            earlier.outages + later.outages - (earlier.ends_down and later.starts_down),
            earlier.uptime + later.uptime,
        )


@dataclass(frozen=True, slots=True)
class MonthlyDowntime:
    """`seconds` of downtime and `outages` in the month (one over two months counts in both); None: no data."""

    first: datetime
    """The first instant of the month, in the requested time zone."""
    seconds: float | None
    outages: int | None

    @property
    def name(self) -> str:
        """`2026-11`."""
        return f"{self.first:%Y-%m}"


def downtime_by_month(
    segments: Sequence[UptimeSegment], now: datetime, months: int, zone: tzinfo = UTC, *, since: datetime | None = None
) -> list[MonthlyDowntime]:
    """Return the current month and those before it, newest first.

    `segments`: in order of time. `since`: the first sample; months that ended before it have no data.
    """
    firsts = _firsts(now.astimezone(zone), months)
    ends = [now, *firsts[:-1]]
    return [_month(first, end, segments, now, since) for first, end in zip(firsts, ends, strict=True)]


def _month(
    first: datetime, end: datetime, segments: Sequence[UptimeSegment], now: datetime, since: datetime | None
) -> MonthlyDowntime:
    if since is not None and end <= since:
        return MonthlyDowntime(first, None, None)
    begin, end = first.astimezone(UTC), end.astimezone(UTC)
    seconds, outages, is_ongoing = 0.0, 0, False
    for number, segment in enumerate(segments):
        if begin <= segment.first < end:
            seconds += segment.seconds
            outages += segment.outages - (is_ongoing and segment.starts_down)
        is_ongoing = segment.ends_down
        if is_ongoing:
            after = segments[number + 1].first if number + 1 < len(segments) else now
            inside = (min(after, end) - max(segment.last, begin)).total_seconds()
            if inside > 0:
                seconds += inside
                outages += segment.last < begin
    return MonthlyDowntime(first, seconds, outages)


def _firsts(now: datetime, months: int) -> list[datetime]:
    """Return the first instants of this month and those before it, newest first."""
    index = now.year * 12 + now.month - 1
    earliest = 12  # the first month of year 1
    numbers = range(index, max(index - months, earliest - 1), -1)
    return [datetime(number // 12, number % 12 + 1, 1, tzinfo=now.tzinfo) for number in numbers]
