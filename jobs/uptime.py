"""How much of the time something was up: the share of good runs, their mean time, and the downtime of each month. Pure.

Called by scheduler.queries.uptime, and by scheduler.stores.runs.hourly_rollup, which sums up what is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal

UptimeMark = Literal["up", "down", "pending", "maintenance"]
"""What one look says. `pending` (being tried again) counts as down, `maintenance` says nothing."""


@dataclass(frozen=True, slots=True)
class UptimeSample:
    """One look at it. `ms`: milliseconds that the answer took, of those that are up."""

    mark: UptimeMark
    ms: float | None = None


@dataclass(frozen=True, slots=True)
class Uptime:
    """`timed`: of those that were up, how many say how long they took; `total_ms`: how long all of these took."""

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
        """How many there were that say something."""
        return self.up + self.down

    @property
    def ratio(self) -> float:
        """From 0 to 1. 0 also when nothing is known: see `looks`."""
        return self.up / self.sample_count if self.sample_count else 0.0

    @property
    def mean_ms(self) -> float | None:
        """Of those that were up; None if there was none with a time."""
        return self.total_ms / self.timed if self.timed else None


def sum_samples(samples: Iterable[UptimeSample]) -> Uptime:
    """All of them together."""
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
    """Looks that came one after the other, summed up so that those before and after can be added.

    It lies within one hour. What was seen last goes on until the next look.
    """

    first: datetime
    last: datetime
    starts_down: bool
    ends_down: bool
    seconds: float
    """Down between the first and the last look."""
    outages: int
    uptime: Uptime

    @staticmethod
    def from_samples(samples: Sequence[tuple[datetime, UptimeSample]]) -> UptimeSegment:
        """Of one look at least, in order."""
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
        """Both, in whatever order they are given."""
        one, two = (self, other) if self.first <= other.first else (other, self)
        between = max(0.0, (two.first - one.last).total_seconds()) if one.ends_down else 0.0
        return UptimeSegment(
            one.first,
            max(one.last, two.last),
            one.starts_down,
            (one if one.last > two.last else two).ends_down,
            one.seconds + between + two.seconds,
            one.outages + two.outages - (one.ends_down and two.starts_down),
            one.uptime + two.uptime,
        )


@dataclass(frozen=True, slots=True)
class Flip:
    """The instant at which it went down or came up."""

    at: datetime
    down: bool


@dataclass(frozen=True, slots=True)
class MonthlyDowntime:
    """`seconds` down and `outages` that touch the month (one over two months counts in both); None: nothing known."""

    first: datetime
    """Its first instant, on the clock of the zone that was asked for."""
    seconds: float | None
    outages: int | None

    @property
    def name(self) -> str:
        """`2026-11`."""
        return f"{self.first:%Y-%m}"


def monthly_downtime(
    flips: Sequence[Flip],
    now: datetime,
    months: int,
    zone: tzinfo = UTC,
    *,
    down: bool = False,
    since: datetime | None = None,
) -> list[MonthlyDowntime]:
    """The current month and those before it, newest first.

    `flips`: in order; before the first one it was the other way round. `down`: how it is, if there is no flip.
    `since`: when it was first looked at; of months that ended before nothing is known.
    """
    was_down = not flips[0].down if flips else down
    all_flips = [Flip(datetime.min.replace(tzinfo=UTC), was_down), *(flip for flip in flips if flip.at < now)]
    stretches = [
        UptimeSegment.from_samples([(flip.at, UptimeSample("down" if flip.down else "up"))]) for flip in all_flips
    ]
    return downtime_by_month(stretches, now, months, zone, since=since)


def downtime_by_month(
    segments: Sequence[UptimeSegment], now: datetime, months: int, zone: tzinfo = UTC, *, since: datetime | None = None
) -> list[MonthlyDowntime]:
    """The same from what was looked at: stretches in order."""
    firsts = _firsts(now.astimezone(zone), months)
    ends = [now, *firsts[:-1]]
    return [_month(first, end, segments, now, since) for first, end in zip(firsts, ends, strict=True)]


def _month(
    first: datetime, end: datetime, stretches: Sequence[UptimeSegment], now: datetime, since: datetime | None
) -> MonthlyDowntime:
    if since is not None and end <= since:
        return MonthlyDowntime(first, None, None)
    begin, end = first.astimezone(UTC), end.astimezone(UTC)
    seconds, outages, goes_on = 0.0, 0, False
    for number, stretch in enumerate(stretches):
        if begin <= stretch.first < end:
            seconds += stretch.seconds
            outages += stretch.outages - (goes_on and stretch.starts_down)
        goes_on = stretch.ends_down
        if goes_on:
            after = stretches[number + 1].first if number + 1 < len(stretches) else now
            inside = (min(after, end) - max(stretch.last, begin)).total_seconds()
            if inside > 0:
                seconds += inside
                outages += stretch.last < begin
    return MonthlyDowntime(first, seconds, outages)


def _firsts(now: datetime, months: int) -> list[datetime]:
    """The first instants of this month and of those before, newest first."""
    index = now.year * 12 + now.month - 1
    earliest = 12  # the first month of year 1
    numbers = range(index, max(index - months, earliest - 1), -1)
    return [datetime(number // 12, number % 12 + 1, 1, tzinfo=now.tzinfo) for number in numbers]
