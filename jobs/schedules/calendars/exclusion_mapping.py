"""Parses `except` of a schedule's mapping. Called by jobs.schedules.mapping.

jobs.incidents.suppression reads weekdays and times of day with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache

from jobs.errors import ScheduleError
from jobs.schedules.calendars.exclusions import (
    DAY_SECONDS,
    EVERY_DAY,
    WEEKDAY_NAMES,
    ExcludedDates,
    Exclusion,
    PublicHolidays,
    WeeklyWindow,
)
from jobs.schedules.calendars.public_holidays import validate_region
from jobs.schedules.unknown_keys import refuse_unknown_keys

_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
_KINDS = ("dates", "weekly", "holidays")

MOST_EXCLUSIONS = 100
"""Entries of a list."""


def read_exclusions(value: object) -> tuple[Exclusion, ...]:
    """Parse `except`. Raises ScheduleError, which names the entry."""
    if not isinstance(value, list):
        raise ScheduleError(f"except: a list is expected, like [{{dates: ['2026-12-24']}}], not {value!r:.40}")
    if len(value) > MOST_EXCLUSIONS:
        raise ScheduleError(f"except: {len(value)} entries are too many, the maximum is {MOST_EXCLUSIONS}")
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
