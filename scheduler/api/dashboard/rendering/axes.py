"""The axes of charts: ticks at full times of a zone and at round values. Pure.

Called by scheduler.api.dashboard.rendering.charts and the pages that have charts. Places are percent of the axis, so
that a chart fits any width without a script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from math import ceil, floor, log10

_DAY = timedelta(days=1)
_CLOCK_STEPS = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720))
_DAY_STEPS = (1, 2, 7, 14, 28, 56, 112)
_MAX_TIME_TICKS = 8
_VALUE_TICKS = 4
_PERCENT_FLOORS = (0.999, 0.99, 0.95, 0.9, 0.8, 0.5)


@dataclass(frozen=True, slots=True)
class Tick:
    """`is_minor`: a narrow screen has no space for it."""

    place: float
    text: str
    is_minor: bool = False


@dataclass(frozen=True)
class TimeAxis:
    """The instants from `since` to `until`, in the zone in which they are shown."""

    since: datetime
    until: datetime
    zone: tzinfo

    def place(self, instant: datetime) -> float:
        """Return the percent of the axis, within it."""
        share = (instant - self.since) / (self.until - self.since)
        return round(100 * min(max(share, 0.0), 1.0), 3)

    @cached_property
    def ticks(self) -> list[Tick]:
        found = list(self._iterate_ticks())
        return [Tick(self.place(at), self._format_tick(at), bool(number % 2)) for number, at in enumerate(found)]

    def format(self, instant: datetime) -> str:
        """Return the instant for people: `28 Nov 14:05`, with seconds in a short period."""
        clock = "%d %b %H:%M:%S" if self.until - self.since < timedelta(hours=2) else "%d %b %H:%M"
        return f"{instant.astimezone(self.zone):{clock}}".lstrip("0")

    def _format_tick(self, instant: datetime) -> str:
        local = instant.astimezone(self.zone)
        return f"{local:%H:%M}" if local.hour or local.minute else f"{local:%d %b}".lstrip("0")

    def _iterate_ticks(self) -> Iterator[datetime]:
        length = self.until - self.since
        for step in _CLOCK_STEPS:
            if length / step <= _MAX_TIME_TICKS:
                return self._iterate_clock_times(step)
        days = next((days for days in _DAY_STEPS if length / (days * _DAY) <= _MAX_TIME_TICKS), _DAY_STEPS[-1])
        return (midnight for midnight in self._iterate_midnights() if not midnight.toordinal() % days)

    def _iterate_clock_times(self, step: timedelta) -> Iterator[datetime]:
        """Yield the full times of local days. A time that a change of the clock omits is omitted."""
        for midnight in self._iterate_midnights(before=True):
            for number in range(ceil(_DAY / step)):
                local = (midnight.replace(tzinfo=None) + number * step).replace(tzinfo=self.zone)
                at = local.astimezone(UTC)
                if self.since <= at <= self.until and at.astimezone(self.zone).hour == local.hour:
                    yield at

    def _iterate_midnights(self, *, before: bool = False) -> Iterator[datetime]:
        day = self.since.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        while (midnight := day.replace(tzinfo=self.zone)) <= self.until:
            if before or midnight >= self.since:
                yield midnight
            day += _DAY


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """Values from `low` to `high`. `values`: of the ticks. `format`: of a value for people."""

    low: float
    high: float
    values: Sequence[float]
    format: Callable[[float], str]

    def place(self, value: float) -> float:
        """Return the percent from the top."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * (1 - min(max(share, 0.0), 1.0)), 3)

    @property
    def ticks(self) -> list[Tick]:
        return [Tick(self.place(value), self.format(value)) for value in self.values]


def measure_axis(highest: float | None, format: Callable[[float], str], *, is_count: bool = False) -> ValueAxis:
    """Return the axis from 0 to a round value at or above the highest one. `is_count`: it has whole numbers alone."""
    top = max(highest or 0.0, 1.0)
    magnitude = 10.0 ** floor(log10(top / _VALUE_TICKS))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude * _VALUE_TICKS >= top)
    step = max(step, 1.0) if is_count else step
    count = ceil(top / step)
    return ValueAxis(0.0, count * step, [number * step for number in range(count + 1)], format)


_OUTLIERS = 25
"""One of so many points, at least one, may be cut off, if there are so many of them as _FEWEST."""
_FEWEST = 8
_CUT_FROM = 3.0
"""How many times the highest other value an outlier must be, to be cut off."""
_HEADROOM = 1.25
_LIMIT_SHOWN = 2.5
"""How many times the highest value a limit may be, so that the axis reaches up to it."""


def fit_axis(
    values: Sequence[float | None],
    format: Callable[[float], str],
    limits: Sequence[float] = (),
    *,
    is_count: bool = False,
) -> ValueAxis:
    """Return the axis of the highest values of some points, so that a few outliers do not flatten all others.

    The values above the axis are drawn at its upper edge, and marked. `limits`: shown as well unless far above.
    """
    found = sorted(value for value in values if value is not None)
    top = found[-1] if found else 0.0
    if len(found) >= _FEWEST:
        body = found[-1 - max(1, len(found) // _OUTLIERS)]
        top = body * _HEADROOM if body > 0 and top > _CUT_FROM * body else top
    shown = [limit for limit in limits if limit <= _LIMIT_SHOWN * top]
    return measure_axis(max([top, *shown]), format, is_count=is_count)


def ratio_axis(lowest: float | None, format: Callable[[float], str]) -> ValueAxis:
    """Return the axis of a share up to 1, from a round value at or below the lowest one."""
    low = next((bound for bound in _PERCENT_FLOORS if bound <= (1.0 if lowest is None else lowest)), 0.0)
    return ValueAxis(low, 1.0, [low, (low + 1) / 2, 1.0], format)
