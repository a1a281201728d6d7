"""Converts the cron and OnCalendar schedules of Healthchecks (`Mon..Fri *-*-* 08:00`) to schedules of a job file.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from importers.errors import NotCarriedOver
from importers.values.cron import convert_cron
from jobs.errors import ScheduleError
from jobs.schedules.time_zones import load_time_zone


def format_numbers(numbers: Iterable[int], least: int, most: int) -> str:
    """Return `*` for all numbers of the field, `*/5`, a range such as `1-5`, or a list."""
    ordered = sorted(set(numbers))
    if ordered == list(range(least, most + 1)):
        return "*"
    if len(ordered) > 2:
        step = ordered[1] - ordered[0]
        if step > 1 and ordered == list(range(least, most + 1, step)):
            return f"*/{step}"
        if ordered == list(range(ordered[0], ordered[-1] + 1)):
            return f"{ordered[0]}-{ordered[-1]}"
    return ",".join(map(str, ordered))


_MACROS = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "semi-annually": "*-01,07-01 00:00:00",
    "biannually": "*-01,07-01 00:00:00",
    "bi-annually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
    "anually": "*-01-01 00:00:00",
}
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_WEEKDAYS = re.compile(r"[A-Za-z]+(?:(?:\.\.|-|,)[A-Za-z]+)*,?")
_DATE = re.compile(r"(?:(?P<year>[^-~:]+)-)?(?P<month>[^-~:]+)(?P<mark>[-~])(?P<day>[^-~:]+)")
_NEAREST = "use a cron expression or monthly"


def convert_on_calendar(text: str, timezone: str) -> tuple[list[Any], str]:
    """Return the schedules of all lines, and how they were changed. Raises NotCarriedOver."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise NotCarriedOver("the schedule is empty")
    return [_convert_line(line, timezone) for line in lines], "written as cron or monthly"


def _convert_line(line: str, timezone: str) -> dict[str, Any]:
    words = line.split()
    if words[0].lower() in _MACROS:
        words = [*_MACROS[words[0].lower()].split(), *words[1:]]
    zone = _take_zone(words) or timezone
    weekdays = words.pop(0) if words and _WEEKDAYS.fullmatch(words[0]) else ""
    date = words.pop(0) if words and ":" not in words[0] else "*-*-*"
    time = words.pop(0) if words else "00:00:00"
    if words:
        raise NotCarriedOver(f"{line!r} is not an OnCalendar expression", _NEAREST)
    schedule = _build(line, _read_weekdays(weekdays), date, time)
    return schedule if zone in ("UTC", "Etc/UTC") else {**schedule, "timezone": zone}


def _take_zone(words: list[str]) -> str:
    if len(words) < 2 or ":" in words[-1] or "*" in words[-1] or words[-1][0].isdigit():
        return ""
    try:
        load_time_zone(words[-1])
    except (ScheduleError, ValueError):
        return ""
    return words.pop()


def _build(line: str, weekdays: str, date: str, time: str) -> dict[str, Any]:
    found = _DATE.fullmatch(date)
    if found is None:
        raise NotCarriedOver(f"{line!r} is not an OnCalendar expression", _NEAREST)
    if found["year"] not in (None, "*"):
        raise NotCarriedOver("a schedule has no years", "set start and end of the schedule")
    clock = _read_time(time)
    months = _read_numbers(found["month"], 1, 12)
    if found["mark"] == "~":
        return _build_from_last_day(line, weekdays, months, found["day"], clock)
    days = format_numbers(_read_numbers(found["day"], 1, 31), 1, 31)
    return {"cron": " ".join([*clock, days, format_numbers(months, 1, 12), weekdays])}


def _build_from_last_day(line: str, weekdays: str, months: set[int], day: str, clock: list[str]) -> dict[str, Any]:
    """`*-*~01` is the last day; `Mon *-*~07/1` is the last Monday."""
    second, minute, hour = clock
    if second != "0" or not all(part.isdecimal() for one in (minute, hour) for part in one.split(",")):
        raise NotCarriedOver("a schedule from the last day of the month has times without seconds", _NEAREST)
    if weekdays == "*" and day.isdecimal():
        written = "last" if int(day) == 1 else f"last-{int(day) - 1}"
    elif weekdays.isdecimal() and re.fullmatch(r"0?7/1", day):
        written = f"last-{_DAYS[int(weekdays)]}"
    else:
        raise NotCarriedOver(f"{line!r} counts days from the end of the month", _NEAREST)
    times = [f"{int(hours):02d}:{int(minutes):02d}" for hours in hour.split(",") for minutes in minute.split(",")]
    monthly: dict[str, Any] = {"day": written, "at": times[0] if len(times) == 1 else times}
    if len(months) < 12:
        monthly["months"] = sorted(months)
    return {"monthly": monthly}


def _read_time(time: str) -> list[str]:
    """Return second, minute and hour as fields of a cron expression."""
    parts = time.split(":")
    if len(parts) == 2:
        parts.append("0")
    if len(parts) != 3:
        raise NotCarriedOver(f"{time!r} is not a time of an OnCalendar expression", _NEAREST)
    hour, minute, second = (_read_numbers(part, 0, most) for part, most in zip(parts, (23, 59, 59), strict=True))
    return [format_numbers(second, 0, 59), format_numbers(minute, 0, 59), format_numbers(hour, 0, 23)]


def _read_weekdays(text: str) -> str:
    if not text:
        return "*"
    days: set[int] = set()
    for part in text.strip(",").split(","):
        first, _, last = part.replace("..", "-").partition("-")
        start, end = _day_number(first), _day_number(last or first)
        # From Monday (0 here) to Sunday (6), as systemd orders them.
        days |= {(number % 7 + 1) % 7 for number in range(start, (end if end >= start else end + 7) + 1)}
    return format_numbers(days, 0, 6)


def _day_number(word: str) -> int:
    """Return 0 for Monday to 6 for Sunday."""
    for number, name in enumerate(_DAYS):
        if len(word) >= 3 and name.startswith(word.lower()):
            return (number + 6) % 7
    raise NotCarriedOver(f"{word!r} is not a day of the week", _NEAREST)


def _read_numbers(text: str, least: int, most: int) -> set[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"(\*|\d{1,2})(?:\.\.(\d{1,2}))?(?:/(\d{1,2}))?", part)
        if found is None:
            raise NotCarriedOver(f"{part!r} is not a number, range or repetition of an OnCalendar expression", _NEAREST)
        start = least if found[1] == "*" else int(found[1])
        end = int(found[2]) if found[2] else most if found[1] == "*" or found[3] else start
        step = int(found[3] or 1)
        if not (least <= start <= end <= most and step):
            raise NotCarriedOver(f"{part!r} is out of range: expected {least} to {most}", _NEAREST)
        numbers |= set(range(start, end + 1, step))
    return numbers


def convert_schedule(text: str, timezone: str) -> tuple[Any, str]:
    """Return a schedule of a job file, and how it was changed. Raises NotCarriedOver.

    An OnCalendar schedule has lines that begin with a date, a time or the name of a macro without @.
    """
    fields = text.split()
    if "\n" not in text.strip() and (len(fields) in (5, 6) or text.strip().startswith("@")) and not _has_time(fields):
        schedules = convert_cron(text.strip(), timezone)
        how = "the day of month and the day of week are two schedules" if len(schedules) > 1 else ""
    else:
        schedules, how = convert_on_calendar(text, timezone)
    return (schedules[0] if len(schedules) == 1 else schedules), how


def _has_time(fields: list[str]) -> bool:
    return any(":" in field for field in fields)
