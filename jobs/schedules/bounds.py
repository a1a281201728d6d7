"""Parses `start` and `end` of a schedule's mapping. Called by jobs.schedules.mapping."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from jobs.errors import ScheduleError
from jobs.schedules.milliseconds import to_milliseconds
from jobs.schedules.time_zones.time_zone import TimeZone

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class ScheduleBound:
    """An instant, and its text in the job file."""

    milliseconds: int
    text: str = field(compare=False)


def read_start(value: object, where: TimeZone | None) -> ScheduleBound:
    """Parse the first instant at which the schedule may be due. Raises ScheduleError."""
    return _bound("start", value, where)


def read_end(value: object, where: TimeZone | None) -> ScheduleBound:
    """Parse the last instant at which it may be due; a date alone means the end of that day. Raises ScheduleError."""
    return _bound("end", value, where)


def _bound(key: str, value: object, where: TimeZone | None) -> ScheduleBound:
    text = value.isoformat() if isinstance(value, date) else value
    if not isinstance(text, str):
        raise _not_an_instant(key, value)
    try:
        instant = datetime.fromisoformat(text.strip())
        if key == "end" and _DAY.fullmatch(text.strip()):
            instant = instant.replace(hour=23, minute=59, second=59, microsecond=999_000, fold=1)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC if where is None else where.info)
        milliseconds = to_milliseconds(instant.astimezone(UTC))
    except (ValueError, OverflowError):
        raise _not_an_instant(key, value) from None
    return ScheduleBound(milliseconds, text.strip())


def _not_an_instant(key: str, value: object) -> ScheduleError:
    return ScheduleError(
        f"{key}: {value!r:.60} is not an instant in ISO 8601: write it like '2026-11-25', '2026-11-25T08:00' (local "
        "time of the schedule) or '2026-11-25T08:00:00Z'"
    )
