"""Days of a month by position: `last`, `last-friday`, `second-friday`, `nearest-weekday-15`, or a number.

Called by jobs.schedules.calendars and jobs.schedules.explanations. `weekday` without a name means Monday to Friday.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from jobs.errors import ScheduleError
from jobs.schedules.cron.fields import WEEKDAY_FIELD
from jobs.schedules.cron.quartz import month_day_name

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
