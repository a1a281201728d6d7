"""Converts cron expressions of other programs, also with `L` and `#`, to schedules of a job file. Used by the sources
with schedules. Pure.

As in Vixie cron, restricted fields of the day of month and the day of week are alternatives: they become two schedules.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.sources.crontab.schedules import InvalidSchedule, parse_schedule_fields

_NEAREST = "write the schedule as cron or monthly"
_SPECIAL = re.compile(r"[L#]", re.IGNORECASE)
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_MOST_TIMES = 48
_UTC = ("", "UTC", "Etc/UTC", "GMT")


def convert_cron(text: str, timezone: str) -> list[Any]:
    """Return the schedules of an expression of five fields, six with seconds, or a macro. Raises NotCarriedOver."""
    fields = text.split()
    seconds = fields.pop(0) if len(fields) == 6 else "0"
    zone = None if timezone in _UTC else timezone
    if len(fields) == 5 and (_SPECIAL.search(fields[2]) or any(map(_read_weekday, fields[4].upper().split(",")))):
        return _convert_special(fields, seconds, zone)
    try:
        schedule = parse_schedule_fields(" ".join(fields) if len(fields) == 5 else text)
    except InvalidSchedule as error:
        raise NotCarriedOver(f"its schedule cannot be read: {error}", _NEAREST) from None
    if seconds != "0":
        if not re.fullmatch(r"[0-9*/,-]+", seconds):
            raise NotCarriedOver("its schedule cannot be read: the field of seconds is not valid", _NEAREST)
        expressions = tuple(f"{seconds} {expression}" for expression in schedule.expressions)
        return [{"cron": one, **({"timezone": zone} if zone else {})} for one in expressions]
    value = schedule.to_value(zone)
    return value if isinstance(value, list) else [value]


def _convert_special(fields: list[str], seconds: str, zone: str | None) -> list[Any]:
    """`L` in a field of days becomes `monthly`, whose times are listed one by one."""
    minute, hour, day, month, weekday = fields
    schedules: list[Any] = []
    special, plain = _split(day, _read_day)
    schedules += _monthly(special, minute, hour, month, seconds, zone)
    if plain and day not in ("*", "?"):
        schedules += convert_cron(f"{minute} {hour} {','.join(plain)} {month} *", zone or "")
    special, plain = _split(weekday, _read_weekday)
    schedules += _monthly(special, minute, hour, month, seconds, zone)
    if plain and weekday not in ("*", "?"):
        schedules += convert_cron(f"{minute} {hour} * {month} {','.join(plain)}", zone or "")
    return schedules


def _split(field: str, read: Any) -> tuple[list[str], list[str]]:
    """Return the days of `monthly`, and the other terms of the field."""
    special: list[str] = []
    plain: list[str] = []
    for term in field.split(","):
        day = read(term.upper())
        (special if day else plain).append(day or term)
    return special, plain


def _read_day(term: str) -> str:
    return {"L": "last", "LW": "last-weekday"}.get(term, "")


def _read_weekday(term: str) -> str:
    found = re.fullmatch(r"([0-7]|[A-Z]{3})(?:#([1-5])|L)", term)
    if found is None:
        return ""
    names = [number for number, name in enumerate(_DAYS) if found[1] in (str(number), name[:3].upper())]
    if not names:
        return ""
    return f"{_ORDINALS[int(found[2]) - 1] if found[2] else 'last'}-{_DAYS[names[0]]}"


def _monthly(
    days: list[str], minute: str, hour: str, month: str, seconds: str, zone: str | None
) -> list[dict[str, Any]]:
    if not days:
        return []
    try:
        parsed = parse_schedule_fields(f"{minute} {hour} * {month} *")
    except InvalidSchedule as error:
        raise NotCarriedOver(f"its schedule cannot be read: {error}", _NEAREST) from None
    minutes, hours, _, months, _ = parsed.expressions[0].split()
    times = [f"{h:02d}:{m:02d}" for h, m in product(_list(hours, 23), _list(minutes, 59))]
    if len(times) > _MOST_TIMES or seconds != "0":
        raise NotCarriedOver("its schedule is due too often for days such as the last of a month", _NEAREST)
    monthly: dict[str, Any] = {"day": days[0] if len(days) == 1 else days, "at": times[0] if len(times) == 1 else times}
    if months != "*":
        monthly["months"] = [number for number in _list(months, 12) if number]
    return [{"monthly": monthly, **({"timezone": zone} if zone else {})}]


def _list(field: str, last: int) -> list[int]:
    """Return the numbers of a field of digits, `*`, ranges and steps."""
    numbers: set[int] = set()
    for term in field.split(","):
        span, _, step = term.partition("/")
        low, _, high = span.partition("-")
        start = 0 if low == "*" else int(low)
        end = int(high) if high else last if low == "*" or step else start
        numbers |= set(range(start, end + 1, int(step or 1)))
    return sorted(numbers)
