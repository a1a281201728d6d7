"""How much of the time something was up: the share of good runs, their mean time, and the downtime of each month. Pure.

Called by scheduler.queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

Mark = Literal["up", "down", "pending", "maintenance"]
"""What one look says. `pending` (being tried again) counts as down, `maintenance` says nothing."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at it. `ms`: milliseconds that the answer took, of those that are up."""

    mark: Mark
    ms: float | None = None


@dataclass(frozen=True, slots=True)
class Uptime:
    up: int
    down: int
    mean_ms: float | None
    """Of those that were up; None if there was none with a time."""

    @property
    def looks(self) -> int:
        """How many there were that say something."""
        return self.up + self.down

    @property
    def ratio(self) -> float:
        """From 0 to 1. 0 also when nothing is known: see `looks`."""
        return self.up / self.looks if self.looks else 0.0


def uptime_of(looks: Iterable[Look]) -> Uptime:
    """All of them together."""
    up = down = timed = 0
    total = 0.0
    for look in looks:
        if look.mark == "up":
            up += 1
            if look.ms is not None:
                timed, total = timed + 1, total + look.ms
        elif look.mark != "maintenance":
            down += 1
    return Uptime(up, down, total / timed if timed else None)


@dataclass(frozen=True, slots=True)
class Flip:
    """The instant at which it went down or came up."""

    at: datetime
    down: bool


@dataclass(frozen=True, slots=True)
class Month:
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
) -> list[Month]:
    """The current month and those before it, newest first.

    `flips`: in order; before the first one it was the other way round. `down`: how it is, if there is no flip.
    `since`: when it was first looked at; of months that ended before nothing is known.
    """
    outages = list(_outages(flips, now, down))
    firsts = _firsts(now.astimezone(zone), months)
    ends = [now, *firsts[:-1]]
    return [_month(first, end, outages, since) for first, end in zip(firsts, ends, strict=True)]


def _month(
    first: datetime, end: datetime, outages: Iterable[tuple[datetime, datetime]], since: datetime | None
) -> Month:
    if since is not None and end <= since:
        return Month(first, None, None)
    begin, end = first.astimezone(UTC), end.astimezone(UTC)
    parts = [(max(began, begin), min(ended, end)) for began, ended in outages if began < end and ended > begin]
    total = sum((ended - began for began, ended in parts), timedelta())
    return Month(first, total.total_seconds(), len(parts))


def _outages(flips: Sequence[Flip], now: datetime, down: bool) -> Iterable[tuple[datetime, datetime]]:
    """From when to when it was down, in order."""
    is_down = not flips[0].down if flips else down
    began = datetime.min.replace(tzinfo=UTC)
    for flip in flips:
        if flip.down == is_down or flip.at >= now:
            continue
        if is_down:
            yield began, flip.at
        is_down, began = flip.down, flip.at
    if is_down:
        yield began, now


def _firsts(now: datetime, months: int) -> list[datetime]:
    """The first instants of this month and of those before, newest first."""
    index = now.year * 12 + now.month - 1
    earliest = 12  # the first month of year 1
    numbers = range(index, max(index - months, earliest - 1), -1)
    return [datetime(number // 12, number % 12 + 1, 1, tzinfo=now.tzinfo) for number in numbers]
