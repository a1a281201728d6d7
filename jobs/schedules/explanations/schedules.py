"""A schedule in plain English. Called by the command `explain`."""

from __future__ import annotations

from datetime import date

from jobs.formats.counts import format_count
from jobs.schedules.bounded import BoundedSchedule
from jobs.schedules.calendars.exclusions import ExcludedDates, Exclusion, PublicHolidays, WeeklyWindow
from jobs.schedules.calendars.monthly import MonthlySchedule
from jobs.schedules.cron.ncrontab import Ncrontab
from jobs.schedules.default_schedule import DefaultSchedule
from jobs.schedules.explanations.cron import explain_cron
from jobs.schedules.explanations.english import join_words
from jobs.schedules.explanations.monthly import explain_monthly
from jobs.schedules.interval import IntervalSchedule
from jobs.schedules.jittered import JitteredSchedule
from jobs.schedules.protocol import Schedule
from jobs.schedules.time_zones.zoned_schedule import DstPolicy, ZonedSchedule
from jobs.schedules.union import UnionSchedule

_UNITS = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000), ("millisecond", 1))
_GAPS = {
    "shift": "a time that DST skips is due later by the length of the gap",
    "end": "a time that DST skips is due at the end of the gap",
    "skip": "a time that DST skips is not due",
}
_REPEATS = {
    "first": "a time that DST repeats is due the first time",
    "both": "a time that DST repeats is due both times",
}


def explain_schedule(schedule: Schedule) -> str:
    """Describe as `At 03:00 every day, Europe/Berlin time, except on public holidays in DE`."""
    if isinstance(schedule, DefaultSchedule):
        return f"{explain_schedule(schedule.schedule)} (from the setting default_schedule)"
    if isinstance(schedule, Ncrontab):
        return explain_cron(schedule) + ("" if schedule.months else " (never: there is no such day)")
    if isinstance(schedule, MonthlySchedule):
        return explain_monthly(schedule)
    if isinstance(schedule, IntervalSchedule):
        return _interval(schedule)
    if isinstance(schedule, ZonedSchedule):
        return f"{explain_schedule(schedule.cron)}, {schedule.zone.name} time{_dst(schedule.dst)}"
    if isinstance(schedule, JitteredSchedule):
        return f"{explain_schedule(schedule.schedule)}, {_jitter(schedule)}"
    if isinstance(schedule, BoundedSchedule):
        return ", ".join([explain_schedule(schedule.schedule), *_limits(schedule)])
    if isinstance(schedule, UnionSchedule):
        first, *others = map(explain_schedule, schedule.schedules)
        return "; ".join([first, *(text[0].lower() + text[1:] for text in others)])
    return schedule.text


def _interval(schedule: IntervalSchedule) -> str:
    distance = _length(schedule.every_ms)
    text = f"Every {distance.removeprefix('1 ') if distance.startswith('1 ') and ' and ' not in distance else distance}"
    return f"{text}, {_length(schedule.offset_ms)} after the full {distance}" if schedule.offset_ms else text


def _dst(dst: DstPolicy) -> str:
    rules = [*([_GAPS[dst.gap]] if dst.gap else []), *([_REPEATS[dst.repeat]] if dst.repeat else [])]
    return f" ({'; '.join(rules)})" if rules else ""


def _jitter(schedule: JitteredSchedule) -> str:
    jitter = _length(round(schedule.jitter_seconds * 1000))
    if not schedule.job:
        return f"up to {jitter} later, always the same for a job"
    return f"{_length(schedule.shift_ms)} later (jitter of up to {jitter})"


def _limits(schedule: BoundedSchedule) -> list[str]:
    found = []
    if schedule.start is not None:
        found.append(f"from {schedule.start.text} on")
    if schedule.end is not None:
        found.append(f"until {schedule.end.text}")
    if schedule.exclusions:
        clock = (
            f" ({schedule.zone.name} time)" if schedule.zone and isinstance(schedule.schedule, IntervalSchedule) else ""
        )
        found.append(f"except {join_words(map(_exclusion, schedule.exclusions))}{clock}")
    return found


def _exclusion(exclusion: Exclusion) -> str:
    if isinstance(exclusion, ExcludedDates):
        return f"on {join_words(date.fromordinal(day).isoformat() for day in sorted(exclusion.days))}"
    if isinstance(exclusion, PublicHolidays):
        part = f" ({exclusion.subdivision})" if exclusion.subdivision else ""
        return f"on public holidays in {exclusion.country}{part}"
    return _window(exclusion) if isinstance(exclusion, WeeklyWindow) else exclusion.text


def _window(window: WeeklyWindow) -> str:
    days = f"on {join_words(window.day_names)}" if window.day_names else "daily"
    if window.covers_whole_days:
        return days
    following = " of the following day" if window.crosses_midnight else ""
    return f"{days} from {window.begin_text} to {window.end_text}{following}"


def _length(milliseconds: int) -> str:
    """Format as `5 minutes`, `1 minute and 30 seconds`."""
    parts, rest = [], milliseconds
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(format_count(count, unit))
    return join_words(parts) if parts else "0 seconds"
