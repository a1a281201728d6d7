"""Converts a schedule in plain words, such as `every 5 minutes` or `daily at 3am`, to a supported form.

Called by jobs.schedules.parsing for error messages; accepts nothing.
"""

from __future__ import annotations

import re

from jobs.errors import ScheduleError
from jobs.formats.durations import parse_duration, suggest_duration
from jobs.schedules.calendars.month_days import read_month_day
from jobs.schedules.interval import IntervalSchedule

_UNITS = {
    "ms": ("ms", "millisecond", "milliseconds", "msec"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "d": ("d", "day", "days"),
    "w": ("w", "week", "weeks"),
}
_NUMBERS = ("a", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MACROS = {
    "hourly": "@hourly",
    "every hour": "@hourly",
    "daily": "@daily",
    "every day": "@daily",
    "nightly": "@daily",
    "every night": "@daily",
    "midnight": "@midnight",
    "weekly": "@weekly",
    "every week": "@weekly",
    "monthly": "@monthly",
    "every month": "@monthly",
    "yearly": "@yearly",
    "annually": "@yearly",
    "every year": "@yearly",
    "every minute": "@every_minute",
    "every second": "@every_second",
}
_DISTANCE = re.compile(r"(?:@?every\s+)?(\d+(?:\.\d+)?|[a-z]+)?\s*([a-z]+)", re.IGNORECASE)
_DAY_AT = re.compile(r"(?:every\s+|on\s+)?([a-z]+)(?:\s+at\s+|\s+)(\d{1,2})(?::(\d{2}))?\s*(am|pm)?", re.IGNORECASE)
_MONTH_DAY = re.compile(r"(?:every\s+|on\s+)?(?:the\s+)?(.+?)(?:\s+day)?\s+of\s+(?:the\s+|each\s+|every\s+)?month")
_RATE = re.compile(r"rate\((.+)\)")
_LONGEST_TEXT = 100
"""Characters. Longer texts are not converted."""
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def suggest_for_words(text: str) -> str | None:
    """Return the form to write; None if the words are not understood."""
    if len(text) > _LONGEST_TEXT:
        return None
    words = " ".join(text.split()).lower()
    if macro := _MACROS.get(words):
        return f"'{macro}' (in quotes)"
    if rate := _RATE.fullmatch(words):
        words = rate[1]
    if words.startswith("p") and (length := suggest_duration(words)):
        return f"{{every: {length}}}"
    if (month_day := _MONTH_DAY.fullmatch(words)) and (day_name := _month_day(month_day[1])):
        return f"{{monthly: {{day: {day_name}, at: '00:00'}}}}"
    distance = _DISTANCE.fullmatch(words)
    if distance is not None and (length := _length(distance[1] or "a", distance[2])):
        return f"{{every: {length}}}"
    day = _DAY_AT.fullmatch(words)
    return None if day is None else _daily(day[1], int(day[2]), int(day[3] or 0), day[4] or "")


def _month_day(text: str) -> str | None:
    try:
        return read_month_day({"first": "1", "1st": "1"}.get(text, text), "day").text
    except ScheduleError:
        return None


def _length(count: str, unit: str) -> str | None:
    short = next((short for short, names in _UNITS.items() if unit in names), None)
    number = str(max(_NUMBERS.index(count), 1)) if count in _NUMBERS else count
    if short is None or not number[0].isdigit():
        return None
    length = f"{float(number) * 7:g}d" if short == "w" else f"{number}{short}"
    try:
        IntervalSchedule(parse_duration(length))
    except ValueError:
        return None  # the interval's own error message explains it
    return length


def _daily(day: str, hour: int, minute: int, half: str) -> str | None:
    """Convert `daily at 3:30pm` to an expression."""
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    short = day[:3]
    days = {"day": "*", "dai": "*", "nig": "*", "wee": "MON-FRI"}.get(short)
    if short in _DAYS:
        days = short.upper()
    if days is None or day in ("week", "weekly", "weekend", "weekends") or hour > 23 or minute > 59:
        return None
    return f"'0 {minute} {hour} * * {days}'"
