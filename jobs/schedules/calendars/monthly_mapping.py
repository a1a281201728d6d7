"""Parses `monthly` of a schedule's mapping: `{day: last, at: "02:00"}`. Called by jobs.schedules.mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping

from jobs.errors import ScheduleError
from jobs.schedules.calendars.month_days import MonthDay, read_month_day
from jobs.schedules.calendars.monthly import MonthlySchedule
from jobs.schedules.cron.fields import MONTH_FIELD, CronFieldError
from jobs.schedules.unknown_keys import refuse_unknown_keys

_KEYS = ("day", "at", "months", "missing_day")
_MISSING_DAY = ("skip", "last")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
_EXAMPLE = "{day: last, at: '02:00'}"
MOST_MONTHLY_ENTRIES = 100
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
    if not 1 <= len(value) <= MOST_MONTHLY_ENTRIES:
        raise ScheduleError(f"{path}: a list of 1 to {MOST_MONTHLY_ENTRIES} entries is expected, not {len(value)}")
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
