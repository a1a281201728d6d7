"""Reads `monthly` of a schedule's mapping: `{day: last, at: "02:00"}`. Called by jobs.schedules.mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping

from jobs.errors import ScheduleError
from jobs.schedules.fields import MONTH, FieldError
from jobs.schedules.keys import refuse_unknown
from jobs.schedules.month_days import MonthDay, month_day_of
from jobs.schedules.monthly import Monthly

_KEYS = ("day", "at", "months", "missing_day")
_MISSING_DAY = ("skip", "last")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
_EXAMPLE = "{day: last, at: '02:00'}"
MOST = 100
"""Entries of one list."""


def monthly_of(value: object) -> Monthly:
    """Read the mapping. Raises ScheduleError, which names the key and says how to write it."""
    if not isinstance(value, Mapping):
        raise ScheduleError(f"monthly: a mapping is expected, like {_example(value)}, not {value!r:.40}")
    refuse_unknown(value, _KEYS, "monthly", "monthly.")
    if "day" not in value:
        raise ScheduleError(f"monthly.day: is missing: write {_EXAMPLE}")
    days = [month_day_of(one, path) for one, path in _entries(value["day"], "monthly.day")]
    times = [_time(one, path) for one, path in _entries(value.get("at", "00:00"), "monthly.at")]
    return Monthly(
        tuple(sorted(set(days), key=_place)),
        tuple(sorted(set(times))),
        _months(value["months"]) if "months" in value else MONTH.everything,
        _is_last(value.get("missing_day", "skip"), days),
    )


def _example(day: object) -> str:
    """A mapping with this day, if it is one."""
    try:
        return _EXAMPLE.replace("last", month_day_of(day, "day").text)
    except ScheduleError:
        return _EXAMPLE


def _entries(value: object, path: str) -> list[tuple[object, str]]:
    """A value alone, or each of a list, with its path; a text may hold several with commas between them."""
    if isinstance(value, str) and "," in value:
        value = value.split(",")
    if not isinstance(value, list):
        return [(value, path)]
    if not 1 <= len(value) <= MOST:
        raise ScheduleError(f"{path}: a list of 1 to {MOST} entries is expected, not {len(value)}")
    return [(one, f"{path}[{number}]") for number, one in enumerate(value)]


def _place(day: MonthDay) -> tuple[bool, int, str]:
    """Numbers first, in their order."""
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
            mask |= MONTH.parse(str(one).strip())
        except FieldError as error:
            mend = f": {error.mend}" if error.mend else ""
            raise ScheduleError(f"{path}: {error.problem}{mend}") from None
    return mask


def _is_last(value: object, days: list[MonthDay]) -> bool:
    if value not in _MISSING_DAY:
        raise ScheduleError(
            f"monthly.missing_day: {value!r:.40} is neither skip (a month without the day is left out) nor last (its "
            "last day is taken)"
        )
    return value == "last" and any(day.may_be_missing for day in days)
