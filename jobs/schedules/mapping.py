"""Reads a schedule that is written as a mapping: `{cron: 0 0 3 * * *, timezone: Europe/Berlin, dst: {gap: skip}}`.

Called by jobs.schedules.parsing.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, cast, get_args

from jobs.durations import parse_duration
from jobs.errors import ScheduleError
from jobs.schedules.interval import Interval
from jobs.schedules.ncrontab import Ncrontab
from jobs.schedules.zoned import Dst, Gap, Repeat, Zoned
from jobs.schedules.zones import Zone, zone

_KEYS = ("cron", "every", "timezone", "dst")
_DST_KEYS = ("gap", "repeat")


def schedule_of(value: Mapping[Any, Any]) -> Ncrontab | Interval | Zoned:
    """Read the mapping.

    Raises:
        ScheduleError: says which key is wrong, why, and how to mend it.
    """
    refuse_unknown(value, _KEYS, "a schedule")
    kinds = [key for key in ("cron", "every") if key in value]
    if len(kinds) != 1:
        raise ScheduleError(f"a schedule has one of cron and every, not {'both' if kinds else 'none'}")
    if "every" in value:
        return _interval(value)
    return zoned(cron_of(value["cron"]), _zone_of(value), dst_of(value.get("dst", {})))


def zoned(cron: Ncrontab, where: Zone | None, dst: Dst) -> Ncrontab | Zoned:
    """The expression on that zone's clock; on that of UTC, which is never changed, without one."""
    return cron if where is None or where.name == "UTC" else Zoned(cron, where, dst)


def cron_of(value: object) -> Ncrontab:
    """Raises ScheduleError."""
    if not isinstance(value, str):
        raise ScheduleError(f"cron: an NCRONTAB text is expected, like '0 */5 * * * *', not {type(value).__name__}")
    return Ncrontab.parse(value)


def interval_of(every: object) -> Interval:
    """Raises ScheduleError."""
    try:
        return Interval(parse_duration(every))
    except ValueError as error:
        raise ScheduleError(f"every: {error}") from None


def dst_of(value: object) -> Dst:
    """Raises ScheduleError."""
    if not isinstance(value, Mapping):
        raise ScheduleError(f"dst: a mapping is expected, like {{gap: shift, repeat: first}}, not {value!r:.40}")
    refuse_unknown(value, _DST_KEYS, "dst", "dst.")
    return Dst(
        cast(Gap | None, _choice("dst.gap", value.get("gap"), get_args(Gap))),
        cast(Repeat | None, _choice("dst.repeat", value.get("repeat"), get_args(Repeat))),
    )


def refuse_unknown(value: Mapping[Any, Any], known: tuple[str, ...], owner: str, prefix: str = "") -> None:
    """Raises ScheduleError for the first key that is not known, with the one that was meant."""
    for key in value:
        if key not in known:
            near = get_close_matches(str(key).lower(), known, n=1)
            meant = f"did you mean {near[0]}?" if near else f"{owner} has {', '.join(known[:-1])} or {known[-1]}"
            raise ScheduleError(f"{prefix}{str(key)[:40]}: unknown key, {meant}")


def _interval(value: Mapping[Any, Any]) -> Interval:
    for key in ("timezone", "dst"):
        if key in value:
            raise ScheduleError(f"{key}: an interval is the same in every zone: leave it out, or write cron")
    return interval_of(value["every"])


def _zone_of(value: Mapping[Any, Any]) -> Zone | None:
    return zone(value["timezone"]) if "timezone" in value else None


def _choice(key: str, value: object, allowed: tuple[str, ...]) -> str | None:
    if value is not None and value not in allowed:
        near = get_close_matches(str(value).lower(), allowed, n=1)
        meant = f", did you mean {near[0]}?" if near else ""
        raise ScheduleError(f"{key}: {value!r:.40} is none of {', '.join(allowed)}{meant}")
    return value
