"""Parses a schedule that is a mapping: `{cron: 0 0 3 * * *, timezone: Europe/Berlin, dst: {gap: skip}}`.

Called by jobs.schedules.parsing.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, cast, get_args

from jobs.errors import ScheduleError
from jobs.formats.durations import parse_duration
from jobs.schedules.bounded import BoundedSchedule
from jobs.schedules.bounds import read_end, read_start
from jobs.schedules.calendars.exclusion_mapping import read_exclusions
from jobs.schedules.calendars.monthly import MonthlySchedule
from jobs.schedules.calendars.monthly_mapping import read_monthly
from jobs.schedules.cron.ncrontab import Ncrontab
from jobs.schedules.interval import LONGEST_INTERVAL, IntervalSchedule
from jobs.schedules.jittered import JitteredSchedule
from jobs.schedules.protocol import Schedule
from jobs.schedules.time_zones.time_zone import UTC_NAMES, TimeZone, load_time_zone
from jobs.schedules.time_zones.zoned_schedule import DstPolicy, GapPolicy, RepeatPolicy, ZonedSchedule
from jobs.schedules.unknown_keys import refuse_unknown_keys

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
    if not 0.001 <= seconds <= LONGEST_INTERVAL:
        raise ScheduleError(f"jitter: {value!r:.40} is out of range: 1ms to 3650d")
    return seconds


def _choice(key: str, value: object, allowed: tuple[str, ...]) -> str | None:
    if value is not None and value not in allowed:
        near = get_close_matches(str(value).lower(), allowed, n=1)
        meant = f", did you mean {near[0]}?" if near else ""
        raise ScheduleError(f"{value!r:.40} is not one of {', '.join(allowed)}{meant}", key)
    return value
