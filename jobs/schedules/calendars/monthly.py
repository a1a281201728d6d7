"""A schedule by days of the month that NCRONTAB cannot express, such as the last one, and times of day.

Called by jobs.schedules.calendars.monthly_mapping and jobs.schedules.time_zones.zoned_schedule; all other code uses the
`Schedule` protocol.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

from jobs.schedules.calendars.month_days import MONTH_LENGTHS, MonthDay
from jobs.schedules.cron.fields import MONTH_FIELD
from jobs.schedules.milliseconds import SecondSchedule

_DAY = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal()
_FEBRUARY = 2

DayMasks = tuple[tuple[int, ...], ...]
"""A mask of days for each length of a month and each weekday of its first day."""


@dataclass(frozen=True, slots=True)
class MonthlySchedule(SecondSchedule):
    """Due at each of `times` on each of `days` of each of `months`."""

    days: tuple[MonthDay, ...]
    times: tuple[int, ...]
    """Seconds of the day, sorted."""
    months: int = MONTH_FIELD.full_mask
    """Bit mask of the months, bit m for month m."""
    use_last_if_missing: bool = False
    """Whether a month without such a day uses its last one; otherwise the month is skipped."""
    _days: DayMasks = field(init=False, repr=False, compare=False)
    _months: int = field(init=False, repr=False, compare=False)
    """The months that can have one of the days: not February if the 30th is the only one."""

    def __post_init__(self) -> None:
        days = _masks(self.days, self.use_last_if_missing)
        object.__setattr__(self, "_days", days)
        possible = (month for month in range(1, 13) if self.months >> month & 1 and _is_possible(days, month))
        object.__setattr__(self, "_months", sum(1 << month for month in possible))

    @property
    def text(self) -> str:
        """For example `monthly last, 15 at 02:00`, with ` in MAR, JUN` unless it is due in every month."""
        months = f" in {', '.join(self.month_names)}" if self.month_names else ""
        short = ", or the last day" if self.use_last_if_missing else ""
        return f"monthly {', '.join(day.text for day in self.days)}{short} at {', '.join(self.clock_times)}{months}"

    @property
    def spec(self) -> dict[str, Any]:
        """The form in a job file; days, times and months are always lists of texts."""
        months = {"months": self.month_names} if self.month_names else {}
        missing = {"missing_day": "last"} if self.use_last_if_missing else {}
        days = [day.text for day in self.days]
        return {"monthly": {"day": days, "at": self.clock_times, **months, **missing}}

    @property
    def month_names(self) -> list[str]:
        """For example `MAR`, `JUN`; empty for every month."""
        if self.months == MONTH_FIELD.full_mask:
            return []
        return [name[:3].upper() for month, name in enumerate(MONTH_FIELD.names, 1) if self.months >> month & 1]

    @property
    def clock_times(self) -> list[str]:
        """For example `02:00`, `14:30:15`."""
        return [format_clock_time(time) for time in self.times]

    @property
    def is_interval_like(self) -> bool:
        """Always false: its times of day are listed."""
        return False

    @property
    def monitor_disabled(self) -> bool:
        """Always false: it is due on some days only."""
        return False

    @property
    def is_never_due(self) -> bool:
        """Whether none of the months has one of the days."""
        return not self._months

    def next_second(self, second: int) -> int | None:
        """Return the first due second strictly after this one, both counted from 1970-01-01T00:00:00 local time."""
        day, time = divmod(second + 1, _DAY)
        due_day = self._day_from(day + _EPOCH_DAY)
        if due_day == day + _EPOCH_DAY:
            later = next((one for one in self.times if one >= time), None)
            if later is not None:
                return day * _DAY + later
            due_day = self._day_from(due_day + 1)
        return None if due_day is None else (due_day - _EPOCH_DAY) * _DAY + self.times[0]

    def _day_from(self, ordinal: int) -> int | None:
        """Return the first due day from this one on, both as date ordinals."""
        if ordinal > _LAST_DAY or self.is_never_due:
            return None
        start = date.fromordinal(ordinal)
        year, month, day = start.year, start.month, start.day
        while year <= date.max.year:
            first = date(year, month, 1)
            if self._months >> month & 1:
                mask = self._days[_length(year, month) - MONTH_LENGTHS[0]][first.isoweekday() % 7] >> day
                if mask:
                    return first.toordinal() + day - 1 + (mask & -mask).bit_length() - 1
            year, month, day = (year, month + 1, 1) if month < 12 else (year + 1, 1, 1)
        return None


def format_clock_time(time: int) -> str:
    """Format a second of the day as `02:00`, or `02:00:30` if it is not a whole minute."""
    hour, rest = divmod(time, 3600)
    minute, second = divmod(rest, 60)
    return f"{hour:02}:{minute:02}" + (f":{second:02}" if second else "")


# Thousands of jobs use the same few days: they share one value.
@lru_cache(maxsize=1024)
def _masks(days: tuple[MonthDay, ...], or_last: bool) -> DayMasks:
    return tuple(tuple(_mask(days, first, length, or_last) for first in range(7)) for length in MONTH_LENGTHS)


def _mask(days: tuple[MonthDay, ...], first: int, length: int, or_last: bool) -> int:
    mask = 0
    for day in days:
        number = day.find_in_month(first, length, use_last_if_missing=or_last)
        mask |= 0 if number is None else 1 << number
    return mask


def _is_possible(days: DayMasks, month: int) -> bool:
    lengths = {_length(year, month) for year in (2023, 2024)}
    return any(any(days[length - MONTH_LENGTHS[0]]) for length in lengths)


def _length(year: int, month: int) -> int:
    if month == _FEBRUARY:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31
