"""Parses `weekly` of a time range. Pure. Used by jobs.incidents.suppression.periods.definition.

`{days: MON-FRI, from: "22:00", to: "06:00"}`: on each of these days, to the following one if `to` is not after `from`.
`{from: FRIDAY 22:00, to: SUNDAY 17:00}`: one period a week, over several days.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobs.errors import ScheduleError
from jobs.fast_frozen import fast_frozen
from jobs.schedules.exclusions import DAY_SECONDS, EVERY_DAY, read_time_of_day, read_weekday, read_weekdays
from jobs.schedules.unknown_keys import refuse_unknown_keys

WEEK_SECONDS = 7 * DAY_SECONDS


@fast_frozen(frozen=True, slots=True)
class WeeklyTimes:
    """`days`: bit mask, Monday is bit 0. `begin`: second of the day. `length`: seconds of local time; 0: by `for`."""

    days: int
    begin: int
    length: int
    spec: tuple[tuple[str, object], ...]
    """Its form in a job file."""


def read_weekly(value: object) -> WeeklyTimes:
    """Parse the mapping. Raises ScheduleError, which names the key and the remedy."""
    if isinstance(value, WeeklyTimes):
        return value
    if not isinstance(value, Mapping) or not value:
        raise ScheduleError(
            "a mapping is expected, like {days: MON-FRI, from: '22:00', to: '06:00'} or {from: FRIDAY 22:00, "
            f"to: SUNDAY 17:00}}, not {value!r:.40}"
        )
    refuse_unknown_keys(value, ("days", "from", "to"), "a weekly period")
    begin_day, begin = _read_point(value.get("from", "00:00"), "from")
    if begin == DAY_SECONDS:
        raise ScheduleError("from: 24:00 is not valid, a day starts at 00:00")
    end_day, end = _read_point(value["to"], "to") if "to" in value else (None, None)
    days = read_weekdays(value["days"], "days") if "days" in value else EVERY_DAY
    spec = tuple(value.items())
    if begin_day is None and end_day is None:
        return WeeklyTimes(days, begin, _daily_length(begin, end, value), spec)
    if "days" in value:
        raise ScheduleError("days: from and to have weekdays already: remove days")
    if begin_day is None or (end_day is None and end is not None):
        raise ScheduleError("from and to: both or none have a weekday, like FRIDAY 22:00 and SUNDAY 17:00")
    return WeeklyTimes(1 << begin_day, begin, _length_over_days(begin_day, begin, end_day, end), spec)


def _daily_length(begin: int, end: int | None, value: Mapping[object, object]) -> int:
    if end is None:
        return 0 if "from" in value else DAY_SECONDS
    if end == begin:
        raise ScheduleError("to: is equal to from: remove both for whole days")
    return end - begin if end > begin else end - begin + DAY_SECONDS


def _length_over_days(begin_day: int, begin: int, end_day: int | None, end: int | None) -> int:
    if end_day is None or end is None:
        return 0
    if end_day == begin_day and end <= begin:
        raise ScheduleError("to: is not after from: write a later time, or another weekday")
    return ((end_day - begin_day) % 7) * DAY_SECONDS + end - begin


def _read_point(value: object, path: str) -> tuple[int | None, int]:
    """Parse `FRIDAY 22:00` or `22:00`; a weekday alone is its start as `from`, its end as `to`."""
    parts = value.split() if isinstance(value, str) else []
    if len(parts) == 1 and parts[0].isalpha():
        return read_weekday(parts[0], path), 0 if path == "from" else DAY_SECONDS
    if len(parts) == 2:
        return read_weekday(parts[0], path), read_time_of_day(parts[1], path)
    return None, read_time_of_day(value, path)
