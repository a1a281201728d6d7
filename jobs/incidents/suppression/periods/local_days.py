"""Periods in the local time of a zone: weekly ones, and calendar days such as holidays. Pure.

Used by jobs.incidents.suppression.periods.definition. A period begins when the local clock first shows its begin or a
later time, and ends when the clock first shows its end after that. So a begin or an end in a DST gap is the end of the
gap, one in a DST fold is the first of the two instants, and a period is always one piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from jobs.fast_frozen import fast_frozen
from jobs.incidents.suppression.periods.spans import Span
from jobs.schedules.exclusions import DAY_SECONDS, Exclusion
from jobs.schedules.protocol import EPOCH, from_milliseconds
from jobs.schedules.time_zones import TimeZone

DAYS_IN_SIGHT = 800
"""Two years, for periods that exclude most days."""
_BEFORE = 26 * 3600
"""Seconds. More than a local time differs from UTC."""


@fast_frozen(frozen=True, slots=True)
class WeeklyPeriods:
    """`days`: bit mask of the weekdays of the begin, Monday is bit 0. `begin`: second of the day.

    `length`: seconds of local time, or of elapsed time with `is_elapsed`. A period that would begin within one of
    `exclusions` is omitted.
    """

    days: int
    begin: int
    length: int
    is_elapsed: bool
    zone: TimeZone
    exclusions: tuple[Exclusion, ...] = ()

    def spans_from(self, at: datetime) -> Iterator[Span]:
        first = local_day(at, self.zone) - self.length // DAY_SECONDS - 2
        for day in range(first, first + DAYS_IN_SIGHT):
            # The first day of the epoch was a Thursday.
            if not self.days >> (day + 3) % 7 & 1:
                continue
            wall = day * DAY_SECONDS + self.begin
            if any(each.period_end(wall) is not None for each in self.exclusions):
                continue
            begin = first_second_of(wall, self.zone)
            end = begin + self.length if self.is_elapsed else _end_of(wall + self.length, begin, self.zone)
            if end > begin and _instant(end) > at:
                yield Span(_instant(begin), _instant(end))


@fast_frozen(frozen=True, slots=True)
class CalendarDays:
    """Inside during `days`, such as public holidays, by the local time of `zone`."""

    days: tuple[Exclusion, ...]
    zone: TimeZone

    def spans_from(self, at: datetime) -> Iterator[Span]:
        wall = (local_day(at, self.zone) - 1) * DAY_SECONDS
        limit = wall + DAYS_IN_SIGHT * DAY_SECONDS
        while wall < limit:
            ends = [end for each in self.days if (end := each.period_end(wall)) is not None]
            if not ends:
                wall += DAY_SECONDS
                continue
            begin = first_second_of(wall, self.zone)
            end = _end_of(max(ends), begin, self.zone)
            if end > begin and _instant(end) > at:
                yield Span(_instant(begin), _instant(end))
            wall = max(ends)


def local_day(at: datetime, zone: TimeZone) -> int:
    """Return the local day as a number, 0 for 1970-01-01."""
    return zone.wall_second((at - EPOCH) // timedelta(seconds=1)) // DAY_SECONDS


def first_second_of(wall: int, zone: TimeZone) -> int:
    """Return the first second at which the local clock shows a time or a later one."""
    return zone.first_second_showing(wall, wall - _BEFORE)


def read_local_instant(text: str, zone: TimeZone) -> datetime:
    """Parse ISO 8601 to an aware UTC datetime; without an offset by the rule of this module. Raises ValueError."""
    instant = datetime.fromisoformat(text.strip())
    if instant.tzinfo is not None:
        return instant.astimezone(EPOCH.tzinfo)
    return _instant(first_second_of((instant.replace(tzinfo=EPOCH.tzinfo) - EPOCH) // timedelta(seconds=1), zone))


def _end_of(wall: int, begin: int, zone: TimeZone) -> int:
    return zone.first_second_showing(wall, begin)


def _instant(second: int) -> datetime:
    return from_milliseconds(second * 1000)
