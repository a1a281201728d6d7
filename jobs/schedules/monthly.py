"""Schedules by day of the month or by weekday in it: which days, the next instant, and the mapping in job files.

`weekday` without a name means Monday to Friday.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from functools import cached_property, lru_cache
from typing import Any

from jobs.errors import ScheduleError
from jobs.schedules.cron_fields import MONTH_FIELD, WEEKDAY_FIELD, CronFieldError, month_day_name
from jobs.schedules.protocol import SecondSchedule, refuse_unknown_keys

MONTH_LENGTHS = (28, 29, 30, 31)
"""The possible numbers of days of a month."""
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_SATURDAY, _SUNDAY = 6, 0
_NEAREST = "nearest-weekday-"
_BACK = re.compile(r"last-([0-9]{1,2})")
_EXAMPLES = (
    "write 1 to 31, last, last-3 (three days before the last), first-weekday, last-weekday, nearest-weekday-15, "
    "second-friday or last-friday"
)


@dataclass(frozen=True)
class MonthDay:
    """A day of a month. `weekday` counts from Sunday, 0; `number` is a day of the month, `ordinal` a position."""

    text: str
    """The form in a job file, such as `last-friday`."""

    @cached_property
    def number(self) -> int | None:
        """The day of the month, or the day for which the nearest weekday is used."""
        digits = self.text.removeprefix(_NEAREST)
        return int(digits) if digits.isdigit() else None

    @cached_property
    def is_nearest_weekday(self) -> bool:
        return self.text.startswith(_NEAREST)

    @cached_property
    def ordinal(self) -> int | None:
        """For `second-friday`: 2; for the last one: None."""
        first = self.text.partition("-")[0]
        return _ORDINALS.index(first) + 1 if first in _ORDINALS else None

    @cached_property
    def weekday(self) -> int | None:
        """For `second-friday` and `last-friday`: 5."""
        name = self.text.partition("-")[2]
        return WEEKDAY_FIELD.names.index(name) if name in WEEKDAY_FIELD.names else None

    @cached_property
    def days_before_last(self) -> int | None:
        """For `last`: 0; for `last-3`: 3."""
        if self.text == "last":
            return 0
        found = _BACK.fullmatch(self.text)
        return int(found[1]) if found else None

    @property
    def may_be_missing(self) -> bool:
        """Whether some months do not have this day."""
        return (self.number or 0) > MONTH_LENGTHS[0] or self.ordinal == len(_ORDINALS)

    def find_in_month(self, first: int, length: int, *, use_last_if_missing: bool = False) -> int | None:
        """Return the day of a month that starts on the weekday `first` and has `length` days; None if it has none.

        `use_last_if_missing`: return the last day, or the last such weekday, instead of None.
        """
        if self.days_before_last is not None:
            return length - self.days_before_last
        if self.weekday is not None:
            return self._named_weekday(self.weekday, first, length, use_last_if_missing)
        if self.number is None:  # first-weekday and last-weekday
            return _nearest(1 if self.text == "first-weekday" else length, first, length)
        number = min(self.number, length) if use_last_if_missing else self.number
        if number > length:
            return None
        return _nearest(number, first, length) if self.is_nearest_weekday else number

    def _named_weekday(self, weekday: int, first: int, length: int, or_last: bool) -> int | None:
        earliest = (weekday - first) % 7 + 1
        last = earliest + (length - earliest) // 7 * 7
        if self.ordinal is None:
            return last
        day = earliest + 7 * (self.ordinal - 1)
        return day if day <= length else last if or_last else None


def read_month_day(value: object, path: str) -> MonthDay:
    """Parse one day. Raises ScheduleError with the valid forms."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ScheduleError(f"{path}: {value!r:.40} is not a day of a month: {_EXAMPLES}")
    words = value.strip().lower().replace("_", "-").replace(" ", "-").split("-")
    text = "-".join(map(_in_full, words))
    if text in _NAMED or _BACK.fullmatch(text) or text.removeprefix(_NEAREST).isdecimal():
        return _in_range(text, path)
    quartz = month_day_name(value.strip())
    near = [quartz] if quartz else get_close_matches(text, _NAMED, n=1, cutoff=0.75)
    raise ScheduleError(
        f"{path}: {value.strip()[:40]!r} is not a day of a month"
        + (f", did you mean {near[0]}?" if near else f": {_EXAMPLES}")
    )


def _in_full(word: str) -> str:
    """Expand `fri` to `friday`, `2nd` to `second`."""
    if word in _SHORT_ORDINALS:
        return _ORDINALS[_SHORT_ORDINALS.index(word)]
    return next((name for name in WEEKDAY_FIELD.names if len(word) > 2 and name.startswith(word)), word)


def _in_range(text: str, path: str) -> MonthDay:
    back = _BACK.fullmatch(text)
    if back:
        if not 1 <= int(back[1]) <= MONTH_LENGTHS[0] - 1:
            raise ScheduleError(f"{path}: {text} is out of range: every month has last-1 to last-27")
        return MonthDay(f"last-{int(back[1])}")
    if text in _NAMED:
        return MonthDay(text)
    number = int(text.removeprefix(_NEAREST)[:9])
    if not 1 <= number <= MONTH_LENGTHS[-1]:
        raise ScheduleError(f"{path}: {number} is out of range: a month has the days 1 to 31")
    return MonthDay(f"{_NEAREST if text.startswith(_NEAREST) else ''}{number}")


_SHORT_ORDINALS = ("1st", "2nd", "3rd", "4th", "5th")
_NAMED = (
    "last",
    "last-weekday",
    "first-weekday",
    *(f"{place}-{name}" for name in WEEKDAY_FIELD.names for place in ("last", *_ORDINALS)),
)


def _nearest(day: int, first: int, length: int) -> int:
    """Return the day of Monday to Friday nearest to this one, within the month."""
    weekday = (first + day - 1) % 7
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == _SUNDAY:
        return day + 1 if day < length else day - 2
    return day


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


_KEYS = ("day", "at", "months", "missing_day")
_MISSING_DAY = ("skip", "last")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
_EXAMPLE = "{day: last, at: '02:00'}"
MAX_MONTHLY_ENTRIES = 100
"""Entries of a list."""


def read_monthly(value: object) -> MonthlySchedule:
    """Parse the mapping. Raises ScheduleError with the key and its valid form."""
    if not isinstance(value, Mapping):
        raise ScheduleError(f"monthly: a mapping is expected, like {_example(value)}, not {value!r:.40}")
    refuse_unknown_keys(value, _KEYS, "monthly", "monthly.")
    if "day" not in value:
        raise ScheduleError(f"monthly.day: is missing: write {_EXAMPLE}")
    days = [read_month_day(one, path) for one, path in _entries(value["day"], "monthly.day")]
    times = [_time(one, path) for one, path in _entries(value.get("at", "00:00"), "monthly.at")]
    return MonthlySchedule(
        tuple(sorted(set(days), key=_place)),
        tuple(sorted(set(times))),
        _months(value["months"]) if "months" in value else MONTH_FIELD.full_mask,
        _is_last(value.get("missing_day", "skip"), days),
    )


def _example(day: object) -> str:
    """Return an example with this day, if it is valid."""
    try:
        return _EXAMPLE.replace("last", read_month_day(day, "day").text)
    except ScheduleError:
        return _EXAMPLE


def _entries(value: object, path: str) -> list[tuple[object, str]]:
    """Return the entries of a list, or a single value, with their paths; a text may contain commas."""
    if isinstance(value, str) and "," in value:
        value = value.split(",")
    if not isinstance(value, list):
        return [(value, path)]
    if not 1 <= len(value) <= MAX_MONTHLY_ENTRIES:
        raise ScheduleError(f"{path}: a list of 1 to {MAX_MONTHLY_ENTRIES} entries is expected, not {len(value)}")
    return [(one, f"{path}[{number}]") for number, one in enumerate(value)]


def _place(day: MonthDay) -> tuple[bool, int, str]:
    """Sort numbers first, in order."""
    return day.number is None or day.is_nearest_weekday, day.number or 0, day.text


def _time(value: object, path: str) -> int:
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None:
        hour, minute, second = (int(part or 0) for part in found.groups())
        if hour < 24 and minute < 60 and second < 60:
            return hour * 3600 + minute * 60 + second
    raise ScheduleError(f"{path}: {value!r:.40} is not a time of day: write it in quotes, from '00:00' to '23:59:59'")


def _months(value: object) -> int:
    mask = 0
    for one, path in _entries(value, "monthly.months"):
        if isinstance(one, bool) or not isinstance(one, (int, str)):
            raise ScheduleError(f"{path}: {one!r:.40} is not a month: write 1-12 or a name, like [MAR, JUN]")
        try:
            mask |= MONTH_FIELD.parse_mask(str(one).strip())
        except CronFieldError as error:
            mend = f": {error.fix}" if error.fix else ""
            raise ScheduleError(f"{path}: {error.problem}{mend}") from None
    return mask


def _is_last(value: object, days: list[MonthDay]) -> bool:
    if value not in _MISSING_DAY:
        raise ScheduleError(
            f"monthly.missing_day: {value!r:.40} is neither skip (skip months without it) nor last (use the last day)"
        )
    return value == "last" and any(day.may_be_missing for day in days)
