"""Days on which a schedule is not due: dates, weekly windows and public holidays, and their mapping in job files.

All times are local times of the schedule's zone, counted in seconds since 1970-01-01T00:00:00 local time (as in
`TimeZone.wall_second`). jobs.incidents.suppression reads weekdays and times of day with the same functions.

Importing the package holidays takes 0.15 s and 25 MB, so it is imported on first use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Protocol

from jobs.errors import ScheduleError
from jobs.schedules.protocol import refuse_unknown_keys

_CODE = re.compile(r"[A-Za-z]{2}")


# A schedule needs a year or two, and many jobs exclude the holidays of the same country.
@lru_cache(maxsize=2048)
def holidays_in_year(country: str, subdivision: str | None, year: int) -> frozenset[int]:
    """Return a year's holidays as date ordinals, including days in lieu; empty for years without data."""
    import holidays

    found = holidays.country_holidays(country, subdiv=subdivision, years=year, expand=False)
    return frozenset(day.toordinal() for day in found)


def validate_region(country: object, subdivision: object, path: str) -> tuple[str, str | None]:
    """Return the country's code in capitals, and the subdivision's code as the package spells it.

    Raises:
        ScheduleError: one of them is unknown; the message names similar ones.
    """
    import holidays

    if not isinstance(country, str) or not _CODE.fullmatch(country.strip()):
        raise ScheduleError(f"{path}.holidays: a two-letter country code is expected, like DE, not {country!r:.40}")
    places = holidays.list_supported_countries()
    code = country.strip().upper()
    if code not in places:
        raise ScheduleError(f"{path}.holidays: no holidays are available for {code}")
    if subdivision is None:
        return code, None
    parts = {part.lower(): part for part in places[code]}
    code_in_lower_case = str(subdivision).strip().lower()
    if code_in_lower_case not in parts:
        raise ScheduleError(
            f"{path}.subdivision: {subdivision!r:.40} is not a part of {code}, {_meant(code_in_lower_case, parts)}"
        )
    return code, parts[code_in_lower_case]


def _meant(code_in_lower_case: str, parts: dict[str, str]) -> str:
    near = get_close_matches(code_in_lower_case, parts, n=1)
    if near:
        return f"did you mean {parts[near[0]]}?"
    return f"it has {', '.join(parts.values())}" if parts else "which has no subdivisions: remove the key"


DAY_SECONDS = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal()
WEEKDAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EVERY_DAY = (1 << 7) - 1


class Exclusion(Protocol):
    """Periods of local time in which the schedule is not due."""

    @property
    def text(self) -> str:
        """A description on one line."""
        ...

    @property
    def spec(self) -> dict[str, Any]:
        """The form in a job file."""
        ...

    def period_end(self, wall: int) -> int | None:
        """Return the end of the period that contains this second; None if none does."""
        ...


@dataclass(frozen=True, slots=True)
class ExcludedDates:
    """Whole days, as date ordinals."""

    days: frozenset[int]

    @property
    def text(self) -> str:
        """Format for example as `2026-12-24, 2026-12-31`."""
        return ", ".join(self.spec["dates"])

    @property
    def spec(self) -> dict[str, list[str]]:
        return {"dates": [date.fromordinal(day).isoformat() for day in sorted(self.days)]}

    def period_end(self, wall: int) -> int | None:
        day = first = wall // DAY_SECONDS + _EPOCH_DAY
        while day in self.days:
            day += 1
        return None if day == first else (day - _EPOCH_DAY) * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class WeeklyWindow:
    """A window on some weekdays. If `end` is not after `begin`, it ends on the following day."""

    days: int
    """Bit mask of the weekdays on which it starts; Monday is bit 0."""
    begin: int = 0
    """Second of the day."""
    end: int = DAY_SECONDS

    @property
    def text(self) -> str:
        """Format for example as `SAT, SUN 22:00-06:00`."""
        days = ", ".join(self._names) if self.day_names else "daily"
        return days if self.covers_whole_days else f"{days} {self.begin_text}-{self.end_text}"

    @property
    def spec(self) -> dict[str, dict[str, str]]:
        days = {"days": ",".join(self._names)} if self.day_names else {}
        return {"weekly": {**days, "from": self.begin_text, "to": self.end_text}}

    @property
    def day_names(self) -> list[str]:
        """For example `Saturday`, `Sunday`; empty for every day."""
        if self.days == EVERY_DAY:
            return []
        return [name.capitalize() for day, name in enumerate(WEEKDAY_NAMES) if self.days >> day & 1]

    @property
    def covers_whole_days(self) -> bool:
        """Whether the window covers whole days."""
        return (self.begin, self.end) == (0, DAY_SECONDS)

    @property
    def crosses_midnight(self) -> bool:
        """Whether it ends on the day after its start."""
        return self.end <= self.begin

    @property
    def begin_text(self) -> str:
        """For example `22:00`."""
        return _clock(self.begin)

    @property
    def end_text(self) -> str:
        """For example `06:00`."""
        return _clock(self.end)

    @property
    def _names(self) -> list[str]:
        return [name[:3].upper() for name in self.day_names]

    def period_end(self, wall: int) -> int | None:
        today = wall // DAY_SECONDS
        length = self.end - self.begin + (DAY_SECONDS if self.crosses_midnight else 0)
        for day in (today, today - 1):
            # The first day of the epoch was a Thursday.
            begin = day * DAY_SECONDS + self.begin
            if self.days >> (day + 3) % 7 & 1 and begin <= wall < begin + length:
                return begin + length
        return None


@dataclass(frozen=True, slots=True)
class PublicHolidays:
    """The public holidays of a country or of one of its subdivisions."""

    country: str
    subdivision: str | None = None

    @property
    def text(self) -> str:
        """Format for example as `holidays of DE-BE`."""
        return f"holidays of {self.country}" + (f"-{self.subdivision}" if self.subdivision else "")

    @property
    def spec(self) -> dict[str, str]:
        return {"holidays": self.country, **({"subdivision": self.subdivision} if self.subdivision else {})}

    def period_end(self, wall: int) -> int | None:
        day = first = wall // DAY_SECONDS + _EPOCH_DAY
        while day in holidays_in_year(self.country, self.subdivision, date.fromordinal(min(day, _LAST_DAY)).year):
            day += 1
        return None if day == first else (day - _EPOCH_DAY) * DAY_SECONDS


def _clock(time: int) -> str:
    hour, rest = divmod(time, 3600)
    minute, second = divmod(rest, 60)
    return f"{hour:02}:{minute:02}" + (f":{second:02}" if second else "")


_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
_KINDS = ("dates", "weekly", "holidays")

MAX_EXCLUSIONS = 100
"""Entries of a list."""


def read_exclusions(value: object) -> tuple[Exclusion, ...]:
    """Parse `except`. Raises ScheduleError, which names the entry."""
    if not isinstance(value, list):
        raise ScheduleError(f"except: a list is expected, like [{{dates: ['2026-12-24']}}], not {value!r:.40}")
    if len(value) > MAX_EXCLUSIONS:
        raise ScheduleError(f"except: {len(value)} entries are too many, the maximum is {MAX_EXCLUSIONS}")
    return _shared(tuple(_exclusion(entry, f"except[{number}]") for number, entry in enumerate(value)))


# Thousands of jobs have the same exclusions: they share one value.
@lru_cache(maxsize=1024)
def _shared(exclusions: tuple[Exclusion, ...]) -> tuple[Exclusion, ...]:
    return exclusions


def _exclusion(entry: object, path: str) -> Exclusion:
    if not isinstance(entry, Mapping):
        raise ScheduleError(f"{path}: a mapping is expected, like {{dates: ['2026-12-24']}}, not {entry!r:.40}")
    refuse_unknown_keys(entry, (*_KINDS, "subdivision"), "an exclusion", f"{path}.")
    kinds = [kind for kind in _KINDS if kind in entry]
    if len(kinds) != 1:
        raise ScheduleError(f"{path}: one of {', '.join(_KINDS)} is required, not {' and '.join(kinds) or 'none'}")
    if "holidays" in entry:
        return PublicHolidays(*validate_region(entry["holidays"], entry.get("subdivision"), path))
    if "subdivision" in entry:
        raise ScheduleError(f"{path}.subdivision: is only valid with holidays: remove it")
    return _dates(entry["dates"], f"{path}.dates") if "dates" in entry else _weekly(entry["weekly"], f"{path}.weekly")


def _dates(value: object, path: str) -> ExcludedDates:
    if not isinstance(value, list) or not value:
        raise ScheduleError(
            f"{path}: a list of dates is expected, like ['2026-12-24', '2026-12-31'], not {value!r:.40}"
        )
    return ExcludedDates(frozenset(_date(one, f"{path}[{number}]") for number, one in enumerate(value)))


def _date(value: object, path: str) -> int:
    text = value.isoformat() if isinstance(value, date) else value
    try:
        if isinstance(text, str) and len(text.strip()) == 10:
            return date.fromisoformat(text.strip()).toordinal()
    except ValueError:
        pass
    raise ScheduleError(f"{path}: {value!r:.40} is not a date: write it like '2026-12-24'")


def _weekly(value: object, path: str) -> WeeklyWindow:
    if not isinstance(value, Mapping) or not value:
        raise ScheduleError(
            f"{path}: a mapping is expected, like {{days: SAT-SUN, from: '22:00', to: '06:00'}}, not {value!r:.40}"
        )
    refuse_unknown_keys(value, ("days", "from", "to"), "a weekly window", f"{path}.")
    days = read_weekdays(value["days"], f"{path}.days") if "days" in value else EVERY_DAY
    begin = read_time_of_day(value["from"], f"{path}.from") if "from" in value else 0
    end = read_time_of_day(value["to"], f"{path}.to") if "to" in value else DAY_SECONDS
    if begin == DAY_SECONDS:
        raise ScheduleError(f"{path}.from: 24:00 is not valid, a day starts at 00:00")
    if begin == end:
        raise ScheduleError(f"{path}.to: is equal to from: remove both for whole days")
    return WeeklyWindow(days, begin, end)


def read_weekdays(value: object, path: str) -> int:
    """Parse `SAT-SUN`, `MON,WED`, or a list of these, to a bit mask. A range may cross the end of the week."""
    parts = [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, str)]
    if not parts or (isinstance(value, list) and len(parts) < len(value)):
        raise ScheduleError(f"{path}: weekdays are expected, like SAT-SUN or MON,WED, not {value!r:.40}")
    mask = 0
    for item in ",".join(parts).split(","):
        first, dash, last = item.partition("-")
        start = read_weekday(first, path)
        length = (read_weekday(last, path) - start) % 7 if dash else 0
        for day in range(start, start + length + 1):
            mask |= 1 << day % 7
    return mask


def read_weekday(text: str, path: str) -> int:
    """Parse a weekday or the start of its name, of two letters at least; Monday is 0. Raises ScheduleError."""
    prefix = text.strip().lower()
    for day, name in enumerate(WEEKDAY_NAMES):
        if len(prefix) > 1 and name.startswith(prefix):
            return day
    raise ScheduleError(f"{path}: {text.strip()[:20]!r} is not a weekday: write MON, TUE, WED, THU, FRI, SAT or SUN")


def read_time_of_day(value: object, path: str) -> int:
    """Parse `22:00` or `22:00:30` to a second of the day, up to that of `24:00`. Raises ScheduleError."""
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None:
        hour, minute, second = (int(part or 0) for part in found.groups())
        time = hour * 3600 + minute * 60 + second
        if minute < 60 and second < 60 and time <= DAY_SECONDS:
            return time
    raise ScheduleError(f"{path}: {value!r:.40} is not a time of day: write it in quotes, from '00:00' to '24:00'")
