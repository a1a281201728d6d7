"""NCRONTAB: five or six fields as bit masks, the names of common expressions, and the search for the next second.

Day of month and day of week must both match. A field's next value is one shift and one lowest bit away, so the search
jumps from field to field and never tries second by second.
"""

from __future__ import annotations

from calendar import isleap
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from functools import lru_cache

from jobs.errors import ScheduleError
from jobs.schedules.cron_fields import (
    DAY_FIELD,
    HOUR_FIELD,
    MINUTE_FIELD,
    MONTH_FIELD,
    SECOND_FIELD,
    WEEKDAY_FIELD,
    CronFieldError,
    explain_field_count,
    explain_word,
    suggest_equivalent,
)
from jobs.schedules.protocol import SecondSchedule

MACROS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
    "@every_minute": "0 * * * * *",
    "@every_second": "* * * * * *",
}
"""Name -> expression of six fields."""


def expand_macro(name: str) -> list[str]:
    """Return the six fields of a macro; its case does not matter.

    Raises:
        ScheduleError: unknown name; the message suggests a similar one or another form.
    """
    macro = name.lower()
    if macro in MACROS:
        return MACROS[macro].split()
    raise ScheduleError(f"{name[:40]!r} is not a macro: {_suggest_macro(macro)}")


def _suggest_macro(macro: str) -> str:
    if macro == "@reboot":
        return "instances start at times that the platform chooses; run the job on demand, or write @hourly"
    if macro.startswith("@every "):
        return f"write {{every: {macro.removeprefix('@every ').strip()[:20]}}} for an interval"
    near = get_close_matches(macro.split()[0], MACROS, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"the macros are {', '.join(MACROS)}"


CRON_FIELDS = (SECOND_FIELD, MINUTE_FIELD, HOUR_FIELD, DAY_FIELD, MONTH_FIELD, WEEKDAY_FIELD)
"""In the order of the expression; an expression of five fields omits the first."""

_MAX_TEXT = 1000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal()
_ALL_DAYS = DAY_FIELD.full_mask
# Bit d is set for each day d of the month; index 0 is not used, February is that of a leap year.
_MONTH_LENGTHS = (0, *((2 << days) - 1 for days in (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)))
_SHORT_FEBRUARY = (2 << 28) - 1


@dataclass(frozen=True, slots=True)
class Ncrontab(SecondSchedule):
    """A parsed expression. Two expressions are equal if they are due at the same instants, however they are written."""

    text: str = field(compare=False)
    """The text with single spaces; a macro in lower case."""
    seconds: int = field(repr=False)
    minutes: int = field(repr=False)
    hours: int = field(repr=False)
    days: tuple[int, ...] = field(repr=False)
    """For each weekday of the first of a month (Sunday is 0), the days on which both day fields match."""
    months: int = field(repr=False)
    """The months that have one of the days: none for the 30th of February."""
    _every_day: bool = field(init=False, compare=False, repr=False)
    """Whether no date has to be computed, which is most of the search."""

    def __post_init__(self) -> None:
        every_day = self.months == MONTH_FIELD.full_mask and self.days == _month_days(
            _ALL_DAYS, WEEKDAY_FIELD.full_mask
        )
        object.__setattr__(self, "_every_day", every_day)

    @staticmethod
    def parse(text: str) -> Ncrontab:
        """Parse five fields (minute first) or six (second first), separated by spaces, or a macro such as `@daily`.

        Raises:
            ScheduleError: names the field, its value, the cause and the remedy.
        """
        return _parse(text)

    @property
    def spec(self) -> str:
        return self.text

    @property
    def is_interval_like(self) -> bool:
        """Whether it repeats within the day by the rules of Azure Functions: adjacent seconds, minutes or hours.

        Decides what happens when local time goes back: such expressions are due in both passes, others only once.
        """
        return any(mask & (mask >> 1) for mask in (self.seconds, self.minutes, self.hours))

    @property
    def monitor_disabled(self) -> bool:
        """Whether Azure Functions stores no schedule status for it, because it is due several times in every minute."""
        return self.seconds.bit_count() > 1 and (self.minutes, self.hours, self.days, self.months) == (
            MINUTE_FIELD.full_mask,
            HOUR_FIELD.full_mask,
            _month_days(_ALL_DAYS, WEEKDAY_FIELD.full_mask),
            MONTH_FIELD.full_mask,
        )

    def next_second(self, second: int) -> int | None:
        """Return the first due second strictly after this one, both counted from 1970-01-01T00:00:00 local time."""
        second += 1
        day, time = divmod(second, 86_400)
        day += _EPOCH_DAY
        due_day = day if self._every_day and day <= _LAST_DAY else self._day_from(day)
        if due_day == day:
            due_time = self._time_from(time)
            if due_time is not None:
                return second + due_time - time
            due_day = self._day_from(day + 1)
        if due_day is None:
            return None
        return (due_day - _EPOCH_DAY) * 86_400 + self._first_time

    @property
    def _first_time(self) -> int:
        return _lowest(self.hours) * 3600 + _lowest(self.minutes) * 60 + _lowest(self.seconds)

    def _time_from(self, time: int) -> int | None:
        """Return the first due second of the day from this one on."""
        minute_of_day, second = divmod(time, 60)
        hour, minute = divmod(minute_of_day, 60)
        if self.hours >> hour & 1:
            if self.minutes >> minute & 1 and (rest := self.seconds >> second):
                return time + _lowest(rest)
            if rest := self.minutes >> minute + 1:
                return hour * 3600 + (minute + 1 + _lowest(rest)) * 60 + _lowest(self.seconds)
        if rest := self.hours >> hour + 1:
            return (hour + 1 + _lowest(rest)) * 3600 + _lowest(self.minutes) * 60 + _lowest(self.seconds)
        return None

    def _day_from(self, ordinal: int) -> int | None:
        """Return the first due day from this one on, both as date ordinals."""
        if ordinal > _LAST_DAY or not self.months:
            return None
        start = date.fromordinal(ordinal)
        year, month, day = start.year, start.month, start.day
        first = ordinal - day + 1
        while True:
            if self.months >> month & 1 and (rest := (self.days[first % 7] & _month_mask(year, month)) >> day):
                return first + day - 1 + _lowest(rest)
            if later := self.months >> month + 1:
                month += 1 + _lowest(later)
            elif year < date.max.year:
                year, month = year + 1, _lowest(self.months)
            else:
                return None
            first, day = date(year, month, 1).toordinal(), 1


def _lowest(mask: int) -> int:
    """Return the number of the lowest set bit."""
    return (mask & -mask).bit_length() - 1


def _month_mask(year: int, month: int) -> int:
    return _MONTH_LENGTHS[month] if month != 2 or isleap(year) else _SHORT_FEBRUARY


# Thousands of jobs use the same few expressions: they share one value.
# perf: loading of 10,000 jobs with few distinct expressions, 40 % of each
@lru_cache(maxsize=1024)
def _parse(text: str) -> Ncrontab:
    macro = text.strip().lower()
    parts = expand_macro(macro) if macro.startswith("@") else _split(text)
    masks = [1 << 0] if len(parts) == 5 else []
    for place, part in zip(CRON_FIELDS[-len(parts) :], parts, strict=True):
        try:
            masks.append(place.parse_mask(part))
        except CronFieldError as error:
            raise ScheduleError(f"{place.name}: {error.problem} in {_quoted(text)}{_mend(error, parts)}") from None
    second, minute, hour, day, month, weekday = masks
    months = sum(1 << number for number in range(1, 13) if month >> number & 1 and day & _MONTH_LENGTHS[number])
    written = macro if macro.startswith("@") else " ".join(parts)
    return Ncrontab(written, second, minute, hour, _month_days(day, weekday), months)


def _mend(error: CronFieldError, parts: list[str]) -> str:
    offer = suggest_equivalent(parts) if error.is_other_dialect else None
    if offer is not None:
        return f": write {offer}"
    return f": {error.fix}" if error.fix else ""


def _split(text: str) -> list[str]:
    if len(text) > _MAX_TEXT:
        raise ScheduleError(f"a schedule of {len(text)} characters is too long, the maximum is {_MAX_TEXT}")
    stripped = text.strip()
    odd = next((character for character in stripped if character.isspace() and character != " "), None)
    if odd is not None:
        raise ScheduleError(f"fields must be separated by spaces, not by {odd!r}, in {_quoted(text)}")
    parts = stripped.split()
    if len(parts) not in (5, 6):
        mend = explain_word(stripped) if len(parts) == 1 else explain_field_count(len(parts), suggest_equivalent(parts))
        raise ScheduleError(f"expected 5 or 6 fields, got {len(parts)} in {_quoted(text)}: {mend}")
    return parts


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}...")


# perf: loading of 10,000 distinct expressions, 30 % of each
@lru_cache(maxsize=256)
def _month_days(days: int, weekdays: int) -> tuple[int, ...]:
    """Return Ncrontab.days for these masks."""
    return tuple(
        sum(1 << day for day in range(1, 32) if days >> day & 1 and weekdays >> (first + day - 1) % 7 & 1)
        for first in range(7)
    )
