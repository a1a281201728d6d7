"""Converts the five fields of crontabs, and cron expressions of other programs, also with `L` and `#`, to schedules
of a job file. Pure.

A field is a list of terms, such as `1-5,*/10`. `parse_schedule_fields` reads the five fields of a crontab to numbers,
and writes them as a job file expects them. `convert_cron` also accepts a field of seconds, and days such as `L` (the
last of the month) and `MON#2` (its second Monday), which become `monthly`.

Vixie cron runs a job on days that match the day of month *or* the day of week if both are restricted; here both must
match. Such a line becomes two schedules, whose common instants are due once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise, product
from typing import Any

from importers.reading import write_ranges
from importers.source_tree import NotCarriedOver

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@every_minute": "* * * * *",
}
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_DAYS = {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_NAMES = ("minute", "hour", "day of month", "month", "day of week")
"""The fields; functions identify a field by its index."""
_WEEKDAY = 4
"""Index of the only field with two numbers for one value: 0 and 7 are Sunday."""
_LIMITS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 7, _DAYS),
)
"""First and last number of each field, and the numbers of names."""
_TERM = re.compile(r"(?P<low>\*|\w+)(?:(?P<sign>[-~])(?P<high>\w+))?(?:/(?P<step>\d+))?|~(?P<upto>\w+)?|(?P<from>\w+)~")
"""`*`, `5`, `1-5` or `MON`, each also with a step such as `/2`; a random value of a range: `1~5`, `~5`, `1~` or `~`."""
_PLAIN = re.compile(r"[0-9*/,-]+")
"""A field without names and random values, which a job file accepts unchanged."""


class InvalidSchedule(ValueError):
    """The fields are not a schedule of cron; the message is the reason."""


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """A schedule of a crontab line in the form of a job file.

    `expressions`: of five fields; two for the OR of the day fields. `is_random`: a `~` was replaced by a fixed value.
    `is_repeating`: minute or hour begin with `*`, so Vixie cron follows the clock when it is changed.
    """

    expressions: tuple[str, ...]
    is_random: bool = False
    is_repeating: bool = False

    @property
    def is_everywhere_alike(self) -> bool:
        """Whether the instants are the same in each time zone whose offset is of whole hours."""
        return all(expression.split()[1:] == ["*", "*", "*", "*"] for expression in self.expressions)

    @property
    def shortest_gap(self) -> float:
        """The shortest time between two instants within an hour, in seconds; 3600 if an hour has only one instant."""
        gaps = [3600.0]
        for expression in self.expressions:
            minutes = sorted(_parse_field(expression.split()[0], 0)[0])
            gaps += [60.0 * ((after - before) % 60 or 60) for before, after in pairwise([*minutes, minutes[0]])]
        return min(gaps)

    def notes(self, timezone: str | None) -> list[str]:
        """Return what is different from the line of cron."""
        notes = []
        if len(self.expressions) == 2:
            notes.append("cron's OR of day of month and day of week becomes two schedules")
        if self.is_random:
            notes.append("the random value becomes the middle of its range")
        if timezone is None and not self.is_everywhere_alike:
            notes.append("in UTC: the file does not tell the time zone of the machine; see --timezone")
        return notes

    def at_second(self, second: int) -> CronSchedule:
        """Return the schedule with a field of seconds."""
        return replace(self, expressions=tuple(f"{second} {expression}" for expression in self.expressions))

    def to_value(self, timezone: str | None, jitter: str | None = None) -> Any:
        """Return the value of `schedule`."""
        values = [self._to_single_value(expression, timezone, jitter) for expression in self.expressions]
        return values[0] if len(values) == 1 else values

    def _to_single_value(self, expression: str, timezone: str | None, jitter: str | None) -> Any:
        if timezone is None and jitter is None:
            return expression
        value: dict[str, Any] = {"cron": expression}
        if timezone is not None:
            value["timezone"] = timezone
            # As Vixie cron does: a job at a fixed time runs once when the clock is changed, a repeating one follows it.
            value["dst"] = {"gap": "skip", "repeat": "both"} if self.is_repeating else {"gap": "end", "repeat": "first"}
        if jitter is not None:
            value["jitter"] = jitter
        return value


def is_schedule(text: str) -> bool:
    """Whether a text is a schedule of a crontab, also one without an equivalent."""
    if text.startswith("@"):
        return text.lower() in MACROS or text.lower() in ("@reboot", "@every_second") or text[1:].isdecimal()
    try:
        parse_schedule_fields(text)
    except InvalidSchedule:
        return False
    return True


@lru_cache(maxsize=1000)
def parse_schedule_fields(text: str) -> CronSchedule:
    """Return the schedule of five fields or a macro. Raises InvalidSchedule."""
    fields = MACROS.get(text.lower(), text).split()
    if len(fields) != 5:
        raise InvalidSchedule(f"expected five fields, found {len(fields)}")
    written: list[str] = []
    is_random = False
    for index, field in enumerate(fields):
        values, has_random = _parse_field(field, index)
        is_random |= has_random
        written.append(_write_field(field, values, index, has_random))
    # Vixie cron considers a field restricted unless it begins with `*`.
    is_or = not fields[2].startswith("*") and not fields[4].startswith("*")
    minute, hour, day, month, weekday = written
    is_repeating = fields[0].startswith("*") or fields[1].startswith("*")
    if not is_or or weekday == "*" or day == "*":
        if is_or:  # `1-31` and `0-7` are every day, so the other field does not matter
            day = weekday = "*"
        return CronSchedule((f"{minute} {hour} {day} {month} {weekday}",), is_random, is_repeating)
    by_date, by_day = f"{minute} {hour} {day} {month} *", f"{minute} {hour} * {month} {weekday}"
    return CronSchedule((by_date, by_day), is_random, is_repeating)


def _parse_field(text: str, index: int) -> tuple[set[int], bool]:
    """Return the numbers that a field matches, and whether it has a random value. Raises InvalidSchedule."""
    values: set[int] = set()
    is_random = False
    for term in text.split(","):
        found = _TERM.fullmatch(term)
        if found is None:
            raise InvalidSchedule(f"{_NAMES[index]}: {term[:20]!r} is not valid")
        low, high, is_range_random = _bounds(found, index)
        step = int(found["step"] or 1)
        if not 1 <= step <= 1000:
            raise InvalidSchedule(f"{_NAMES[index]}: the step {step} is not valid")
        if low > high:
            raise InvalidSchedule(f"{_NAMES[index]}: the range {term[:20]!r} is empty")
        is_random |= is_range_random
        values |= {(low + high) // 2} if is_range_random else set(range(low, high + 1, step))
    if index == _WEEKDAY and 7 in values:
        values = values - {7} | {0}
    return values, is_random


def _bounds(term: re.Match[str], index: int) -> tuple[int, int, bool]:
    """Return the first and the last number of a term, and whether cron chooses one of them at random."""
    first, last, _ = _LIMITS[index]
    last = 6 if index == _WEEKDAY else last
    if term["low"] is None:  # `~`, the random value of cronie and OpenBSD, without a first number or without a last one
        return _number(term["from"], index, first), _number(term["upto"], index, last), True
    if term["low"] == "*":
        if term["sign"]:
            raise InvalidSchedule(f"{_NAMES[index]}: '*-' is not valid")
        return first, last, False
    low = _number(term["low"], index, first)
    if term["high"]:
        return low, _number(term["high"], index, last), term["sign"] == "~"
    # A step from a number, such as `5/10`, continues to the end of the field.
    return low, last if term["step"] else low, False


def _number(text: str | None, index: int, default: int) -> int:
    """Return the number of a text, which can be a name such as `mon`. Raises InvalidSchedule."""
    if text is None:
        return default
    first, last, names = _LIMITS[index]
    if text.isalpha():
        number = names.get(text.lower()[:3])
    else:
        number = int(text) if text.isdecimal() and len(text) < 5 else None
    if number is None or not first <= number <= last:
        raise InvalidSchedule(f"{_NAMES[index]}: expected {first} to {last}, found {text[:20]!r}")
    return number


def _write_field(text: str, values: set[int], index: int, is_random: bool) -> str:
    """Return the written text if it means the same here, else the values as ranges."""
    first, last, _ = _LIMITS[index]
    last = 6 if index == _WEEKDAY else last
    if values == set(range(first, last + 1)):
        return "*"
    steps_from_number = re.search(r"(?:^|,)\d+/", text) is not None
    if _PLAIN.fullmatch(text) and not (index == _WEEKDAY and "7" in text) and not steps_from_number and not is_random:
        return text
    return ",".join(write_ranges(sorted(values)))


_NEAREST = "write the schedule as cron or monthly"
_SPECIAL = re.compile(r"[L#]", re.IGNORECASE)
_WEEK_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_MAX_TIMES = 48
"""Times of a day that `monthly` lists."""
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
    """Return the schedules of fields in which a day has `L` or `#`. Raises NotCarriedOver.

    Such a day becomes `monthly`, whose times are listed one by one; the other days of the field remain cron.
    """
    minute, hour, day, month, weekday = fields
    schedules: list[Any] = []
    special, plain = _split_terms(day, _read_day)
    schedules += _monthly(special, minute, hour, month, seconds, zone)
    if plain and day not in ("*", "?"):
        schedules += convert_cron(f"{minute} {hour} {','.join(plain)} {month} *", zone or "")
    special, plain = _split_terms(weekday, _read_weekday)
    schedules += _monthly(special, minute, hour, month, seconds, zone)
    if plain and weekday not in ("*", "?"):
        schedules += convert_cron(f"{minute} {hour} * {month} {','.join(plain)}", zone or "")
    return schedules


def _split_terms(field: str, read: Callable[[str], str]) -> tuple[list[str], list[str]]:
    """Return the days of `monthly`, and the other terms of the field. `read`: returns such a day; empty for others."""
    special: list[str] = []
    plain: list[str] = []
    for term in field.split(","):
        day = read(term.upper())
        (special if day else plain).append(day or term)
    return special, plain


def _read_day(term: str) -> str:
    """Return a day of the month as `monthly` names it; empty for a term without `L`."""
    return {"L": "last", "LW": "last-weekday"}.get(term, "")


def _read_weekday(term: str) -> str:
    """Return `second-monday` for `MON#2`, `last-friday` for `5L`; empty for another term."""
    match = re.fullmatch(r"([0-7]|[A-Z]{3})(?:#([1-5])|L)", term)
    if match is None:
        return ""
    names = [number for number, name in enumerate(_WEEK_DAYS) if match[1] in (str(number), name[:3].upper())]
    if not names:
        return ""
    return f"{_ORDINALS[int(match[2]) - 1] if match[2] else 'last'}-{_WEEK_DAYS[names[0]]}"


def _monthly(
    days: list[str], minute: str, hour: str, month: str, seconds: str, zone: str | None
) -> list[dict[str, Any]]:
    """Return the schedule `monthly` of these days, in a list; an empty one without days. Raises NotCarriedOver."""
    if not days:
        return []
    try:
        parsed = parse_schedule_fields(f"{minute} {hour} * {month} *")
    except InvalidSchedule as error:
        raise NotCarriedOver(f"its schedule cannot be read: {error}", _NEAREST) from None
    minutes, hours, _, months, _ = parsed.expressions[0].split()
    times = [f"{h:02d}:{m:02d}" for h, m in product(_list_numbers(hours, 23), _list_numbers(minutes, 59))]
    if len(times) > _MAX_TIMES or seconds != "0":
        raise NotCarriedOver("its schedule is due too often for days such as the last of a month", _NEAREST)
    monthly: dict[str, Any] = {"day": days[0] if len(days) == 1 else days, "at": times[0] if len(times) == 1 else times}
    if months != "*":
        monthly["months"] = [number for number in _list_numbers(months, 12) if number]
    return [{"monthly": monthly, **({"timezone": zone} if zone else {})}]


def _list_numbers(field: str, last: int) -> list[int]:
    """Return the numbers of a field of digits, `*`, ranges and steps. `last`: the last number of the field."""
    numbers: set[int] = set()
    for term in field.split(","):
        span, _, step = term.partition("/")
        low, _, high = span.partition("-")
        start = 0 if low == "*" else int(low)
        end = int(high) if high else last if low == "*" or step else start
        numbers |= set(range(start, end + 1, int(step or 1)))
    return sorted(numbers)
