"""Parses the `schedule` of a job, in each of its forms. Called by jobs.definition and the CLI."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.errors import ScheduleError
from jobs.schedules.cron.ncrontab import Ncrontab
from jobs.schedules.interval import IntervalSchedule
from jobs.schedules.mapping import read_interval, read_schedule_mapping
from jobs.schedules.plain_words import suggest_for_words
from jobs.schedules.protocol import Schedule
from jobs.schedules.union import UnionSchedule

MOST_SCHEDULES = 50
"""Maximum number of schedules of a job."""

_EVERY_PREFIXES = ("every ", "@every ")
_OFFSET_SEPARATOR = " offset "


def parse_schedule(value: object) -> Schedule:
    """Parse an NCRONTAB text, a TimeSpan text (`00:05:00`), `{every: 10s}` or `{cron: ...}`; return a Schedule
    unchanged.

    A mapping may also set a time zone, a start and more, see jobs.schedules.mapping. A list is a union of schedules.

    Raises:
        ScheduleError: any other value. The message names the cause and the remedy.
    """
    return _several(value) if isinstance(value, list) else _one(value)


def _several(values: list[object]) -> Schedule:
    if not 1 <= len(values) <= MOST_SCHEDULES:
        raise ScheduleError(f"a list of schedules must have 1 to {MOST_SCHEDULES} entries, not {len(values)}")
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
