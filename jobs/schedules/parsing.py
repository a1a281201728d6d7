"""Parses each form of `schedule`: an expression, an interval, words, a mapping, a list; and its JSON schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, cast, get_args

from jobs.errors import ScheduleError
from jobs.formats import DURATION_PATTERN, parse_duration, suggest_duration
from jobs.schedules.exclusions import read_exclusions
from jobs.schedules.monthly import MonthlySchedule, read_month_day, read_monthly
from jobs.schedules.ncrontab import Ncrontab
from jobs.schedules.protocol import MAX_INTERVAL, IntervalSchedule, Schedule, refuse_unknown_keys
from jobs.schedules.time_zones import (
    UTC_NAMES,
    DstPolicy,
    GapPolicy,
    RepeatPolicy,
    TimeZone,
    ZonedSchedule,
    load_time_zone,
)
from jobs.schedules.variants import BoundedSchedule, JitteredSchedule, UnionSchedule, read_end, read_start

_LIMITS = ("start", "end", "except")
_KINDS = ("cron", "every", "monthly")
_KEYS = (*_KINDS, "offset", "timezone", "dst", "jitter", *_LIMITS)
_KEYS_OF_MONTHLY = ("day", "at", "months", "missing_day")
_UNITS = {"seconds": "s", "minutes": "m", "hours": "h", "days": "d"}
_MEANT = {
    **dict.fromkeys(("interval", "period", "frequency"), "every"),
    **dict.fromkeys(("expression", "crontab", "cronexpression"), "cron"),
    **dict.fromkeys(("tz", "zone", "timezoneid"), "timezone"),
}
"""Keys of other programs, in lower case without underscores -> the key here."""
_DST_KEYS = ("gap", "repeat")


def read_schedule_mapping(value: Mapping[Any, Any]) -> Schedule:
    """Parse the mapping.

    Raises:
        ScheduleError: a key or value is invalid; the message names the key, the cause and the remedy.
    """
    misplaced = next((key for key in _KEYS_OF_MONTHLY if key in value), None)
    if misplaced is not None:
        raise ScheduleError(f"{misplaced}: is a key of monthly: write {{monthly: {{day: last, at: '02:00'}}}}")
    _refuse_foreign(value)
    refuse_unknown_keys(value, _KEYS, "a schedule")
    kinds = [key for key in _KINDS if key in value]
    if len(kinds) != 1:
        raise ScheduleError(f"one of cron, every and monthly is required, not {' and '.join(kinds) or 'none'}")
    where = _zone_of(value)
    schedule: Schedule = _interval(value) if "every" in value else _expression(value, where)
    if "jitter" in value:
        schedule = JitteredSchedule(schedule, _jitter(value["jitter"]))
    return _limited(schedule, value, where)


def _refuse_foreign(value: Mapping[Any, Any]) -> None:
    """Raise ScheduleError for a key of another program, with the key to write instead."""
    for key, one in value.items():
        if isinstance(key, str) and key not in _KEYS:
            unit = _UNITS.get(key.lower())
            if unit is not None and isinstance(one, int) and not isinstance(one, bool):
                raise ScheduleError(f"{key}: unknown key: write {{every: {one}{unit}}}")
            if meant := _MEANT.get(key.lower().replace("_", "")):
                raise ScheduleError(f"{key}: unknown key, did you mean {meant}?")


def read_interval(every: object, offset: object | None = None) -> IntervalSchedule:
    """Build an interval from two durations. Raises ScheduleError."""
    try:
        interval = IntervalSchedule(parse_duration(every))
    except ValueError as error:
        raise ScheduleError(f"every: {error}") from None
    try:
        return interval if offset is None else IntervalSchedule(parse_duration(every), parse_duration(offset))
    except ValueError as error:
        raise ScheduleError(f"offset: {error}") from None


def _interval(value: Mapping[Any, Any]) -> IntervalSchedule:
    if "dst" in value:
        raise ScheduleError("dst: an interval does not depend on local time: remove dst, or write cron")
    if "timezone" in value and not any(key in value for key in _LIMITS):
        raise ScheduleError("timezone: an interval does not depend on local time: remove timezone, or write cron")
    return read_interval(value["every"], value.get("offset"))


def _expression(value: Mapping[Any, Any], where: TimeZone | None) -> Ncrontab | MonthlySchedule | ZonedSchedule:
    if "offset" in value:
        raise ScheduleError("offset: is only valid with every: write the times into cron or monthly.at instead")
    expression = read_monthly(value["monthly"]) if "monthly" in value else _ncrontab(value["cron"])
    dst = _dst(value.get("dst", {}))
    return expression if where is None else ZonedSchedule(expression, where, dst)


def _ncrontab(cron: object) -> Ncrontab:
    if not isinstance(cron, str):
        raise ScheduleError(f"cron: an NCRONTAB text is expected, like '0 */5 * * * *', not {type(cron).__name__}")
    return Ncrontab.parse(cron)


def _limited(schedule: Schedule, value: Mapping[Any, Any], where: TimeZone | None) -> Schedule:
    """Add start, end and exclusions; without them, the schedule itself."""
    start = read_start(value["start"], where) if "start" in value else None
    end = read_end(value["end"], where) if "end" in value else None
    if start is not None and end is not None and end.milliseconds < start.milliseconds:
        raise ScheduleError(f"end: {end.text} is before start, {start.text}")
    exclusions = read_exclusions(value["except"]) if "except" in value else ()
    limited = start is not None or end is not None or exclusions
    return BoundedSchedule(schedule, where, start, end, exclusions) if limited else schedule


def _dst(value: object) -> DstPolicy:
    if not isinstance(value, Mapping):
        raise ScheduleError(f"dst: a mapping is expected, like {{gap: shift, repeat: first}}, not {value!r:.40}")
    refuse_unknown_keys(value, _DST_KEYS, "dst", "dst.")
    return DstPolicy(
        cast(GapPolicy | None, _choice("dst.gap", value.get("gap"), get_args(GapPolicy))),
        cast(RepeatPolicy | None, _choice("dst.repeat", value.get("repeat"), get_args(RepeatPolicy))),
    )


def _zone_of(value: Mapping[Any, Any]) -> TimeZone | None:
    """Return the time zone of the mapping; None for UTC."""
    where = load_time_zone(value["timezone"]) if "timezone" in value else None
    return None if where is None or where.name in UTC_NAMES else where


def _jitter(value: object) -> float:
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise ScheduleError(f"jitter: {error}") from None
    if not 0.001 <= seconds <= MAX_INTERVAL:
        raise ScheduleError(f"jitter: {value!r:.40} is out of range: 1ms to 3650d")
    return seconds


def _choice(key: str, value: object, allowed: tuple[str, ...]) -> str | None:
    if value is not None and value not in allowed:
        near = get_close_matches(str(value).lower(), allowed, n=1)
        meant = f", did you mean {near[0]}?" if near else ""
        raise ScheduleError(f"{value!r:.40} is not one of {', '.join(allowed)}{meant}", key)
    return value


_UNIT_WORDS = {
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
_MAX_TEXT = 100
"""Characters. Longer texts are not converted."""
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def suggest_for_words(text: str) -> str | None:
    """Return the form to write; None if the words are not understood."""
    if len(text) > _MAX_TEXT:
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
    short = next((short for short, names in _UNIT_WORDS.items() if unit in names), None)
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


MAX_SCHEDULES = 50
"""Maximum number of schedules of a job."""

_EVERY_PREFIXES = ("every ", "@every ")
_OFFSET_SEPARATOR = " offset "


def parse_schedule(value: object) -> Schedule:
    """Parse an NCRONTAB text, a TimeSpan text (`00:05:00`), `{every: 10s}` or `{cron: ...}`; return a Schedule
    unchanged.

    A mapping may also set a time zone, a start and more, see jobs.schedules.parsing. A list is a union of schedules.

    Raises:
        ScheduleError: any other value. The message names the cause and the remedy.
    """
    return _several(value) if isinstance(value, list) else _one(value)


def _several(values: list[object]) -> Schedule:
    if not 1 <= len(values) <= MAX_SCHEDULES:
        raise ScheduleError(f"a list of schedules must have 1 to {MAX_SCHEDULES} entries, not {len(values)}")
    return (
        _entry(0, values[0]) if len(values) == 1 else UnionSchedule(tuple(_entry(*pair) for pair in enumerate(values)))
    )


def _entry(number: int, value: object) -> Schedule:
    try:
        return _one(value)
    except ScheduleError as error:
        raise ScheduleError(f"[{number}]: {error}") from None


def _one(value: object) -> Schedule:
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, Mapping):
        return read_schedule_mapping(value)
    if isinstance(value, Schedule):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ScheduleError(f"{value!r:.40} has no unit: write {{every: {value!r:.40}s}} if seconds are meant")
    raise ScheduleError(
        f"a schedule must be a text or a mapping, not {type(value).__name__}: "
        "write '0 */5 * * * *', '00:05:00' (in quotes) or {every: 5m}"
    )


def _from_text(text: str) -> Schedule:
    try:
        return _read_text(text)
    except ScheduleError:
        if offer := suggest_for_words(text):
            raise ScheduleError(f"{text.strip()!r:.60} is not a supported form: write {offer}") from None
        raise


def _read_text(text: str) -> Schedule:
    stripped = text.strip()
    if not stripped:
        raise ScheduleError("the schedule is empty: write '0 */5 * * * *', '00:05:00' or {every: 5m}")
    if stripped.startswith(_EVERY_PREFIXES):
        every, offset, phase = stripped.partition(" ")[2].partition(_OFFSET_SEPARATOR)
        return read_interval(every, phase) if offset else read_interval(every)
    if ":" in stripped and len(stripped.split()) == 1:
        return IntervalSchedule.from_timespan(stripped)
    return Ncrontab.parse(text)


Schema = dict[str, Any]


def _mapping(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _one_or_several(*types: str, examples: list[Any], description: str) -> Schema:
    """Return the schema of one value or of a list of them."""
    values = {"type": [*types, "array"], "items": {"type": list(types)}, "minItems": 1}
    return {**values, "examples": examples, "description": description}


def _duration(*examples: str, description: str) -> Schema:
    # Also an app setting, such as %INTERVAL%.
    return {
        "type": "string",
        "pattern": f"{DURATION_PATTERN}|%",
        "examples": list(examples),
        "description": description,
    }


_TIME: Schema = {"type": "string", "examples": ["22:00"]}
WEEKLY_SCHEMA = _mapping(
    **{
        "days": {
            "type": ["string", "array"],
            "items": {"type": "string"},
            "minItems": 1,
            "examples": ["MON-FRI"],
            "description": "days on which it begins; default: each day",
        },
        "from": {**_TIME, "description": "the begin; default: 00:00"},
        "to": {**_TIME, "description": "the end; one before from is on the following day"},
    }
)
EXCLUSIONS_SCHEMA: Schema = {
    "type": "array",
    "maxItems": 100,
    "items": _mapping(
        dates={
            "type": "array",
            "items": {"type": "string", "examples": ["2026-12-24"]},
            "minItems": 1,
            "description": "days such as 2026-12-24",
        },
        weekly={**WEEKLY_SCHEMA, "description": "times of the week"},
        holidays={"type": "string", "description": "a country's code", "examples": ["DE"]},
        subdivision={"type": "string", "description": "a part of that country", "examples": ["BE"]},
    ),
    "examples": [[{"holidays": "DE"}, {"dates": ["2026-12-24"]}]],
}
_MONTHLY = _mapping(
    day=_one_or_several(
        "string",
        "integer",
        examples=["last", "last-weekday", "last-friday", "second-friday", "nearest-weekday-15", 31],
        description="days of the month, by number or position",
    ),
    at=_one_or_several("string", examples=["02:00"], description="times of the day; default: 00:00"),
    months=_one_or_several("string", "integer", examples=["MAR,JUN"], description="default: each month"),
    missing_day={"enum": ["skip", "last"], "description": "policy for months without the day"},
) | {"required": ["day"]}
_DST = _mapping(
    gap={"enum": ["shift", "end", "skip", None], "description": "policy for local times that DST skips"},
    repeat={"enum": ["first", "both", None], "description": "policy for local times that DST repeats"},
)
_SCHEDULE = _mapping(
    **{
        "cron": {"type": "string", "description": "NCRONTAB, five or six fields, or a macro"},
        "every": _duration("10s", "5m", description="an interval"),
        "monthly": {**_MONTHLY, "description": "days of the month that NCRONTAB cannot express, such as the last one"},
        "offset": _duration("30s", description="moves every instant of an interval"),
        "timezone": {"type": "string", "description": "IANA name; UTC if absent", "examples": ["Europe/Berlin"]},
        "dst": {**_DST, "description": "policy for the changes of daylight saving time"},
        "jitter": _duration("20s", description="maximum delay; a job always has the same one"),
        "start": {"type": "string", "description": "ISO 8601"},
        "end": {"type": "string", "description": "ISO 8601; a date alone means the end of that day"},
        "except": {**EXCLUSIONS_SCHEMA, "description": "days and times at which it is not due"},
    }
)
_ONE_SCHEDULE = _SCHEDULE | {"type": ["string", "object"], "examples": ["*/10 * * * * *", "every 5m"]}
SCHEDULE_SCHEMA: Schema = _ONE_SCHEDULE | {
    "type": ["string", "object", "array"],
    "items": _ONE_SCHEDULE,
    "minItems": 1,
    "maxItems": 50,
}
"""A text, a mapping, or a list of these."""
