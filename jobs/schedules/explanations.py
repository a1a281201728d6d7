"""A schedule in plain English. Called by the command `explain`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import product

from jobs.formats import format_count
from jobs.schedules.cron_fields import DAY_FIELD, MONTH_FIELD, WEEKDAY_FIELD, CronField, CronRange
from jobs.schedules.exclusions import ExcludedDates, Exclusion, PublicHolidays, WeeklyWindow
from jobs.schedules.monthly import MonthDay, MonthlySchedule
from jobs.schedules.ncrontab import CRON_FIELDS, MACROS, Ncrontab
from jobs.schedules.protocol import IntervalSchedule, Schedule
from jobs.schedules.time_zones import DstPolicy, ZonedSchedule
from jobs.schedules.variants import BoundedSchedule, DefaultSchedule, JitteredSchedule, UnionSchedule

_ORDINALS = ("zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_LABELLED = (MONTH_FIELD, WEEKDAY_FIELD)


def join_words(words: Iterable[str]) -> str:
    """Format as `a`, `a and b`, `a, b, and c`."""
    *head, last = words
    return f"{', '.join(head)}{',' if len(head) > 1 else ''} and {last}" if head else last


def ordinal(number: int) -> str:
    """Format as `first`, `10th`, `21st`."""
    if number < len(_ORDINALS):
        return _ORDINALS[number]
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number // 10 != 1 else "th"
    return f"{number}{ending}"


@dataclass(frozen=True, slots=True)
class FieldWords:
    """The items of a field, and their description."""

    field: CronField
    items: tuple[CronRange, ...]

    @staticmethod
    def from_text(field: CronField, text: str) -> FieldWords:
        """Parse the field's text, which must be valid."""
        ranges: dict[CronRange, None] = {}
        for item in field.parse_ranges(text):
            pair = item.step == 1 and item.stop == item.start + 1
            halves = [CronRange(value, value, 1) for value in (item.start, item.stop)] if pair else [item]
            ranges.update(dict.fromkeys(halves))
        return FieldWords(field, tuple(ranges))

    @property
    def covers_all(self) -> bool:
        """Whether the field matches every value."""
        return all(self.is_whole(item) and item.step == 1 for item in self.items)

    @property
    def values(self) -> list[int] | None:
        """The values, if each one is listed; otherwise None."""
        return [item.start for item in self.items] if all(map(_is_single, self.items)) else None

    @property
    def only_value(self) -> int | None:
        """The value, if the field has exactly one."""
        values = self.values
        return values[0] if values is not None and len(values) == 1 else None

    def is_whole(self, item: CronRange) -> bool:
        """Whether the item covers the whole field, with or without a step."""
        return item.start == self.field.lowest and item.stop == self.field.highest

    @property
    def text(self) -> str:
        """For example `minutes 1 and 5`, `every fifth minute`, `the first and the 15th day of month`."""
        values = self.values
        if values is not None and len(values) > 1:
            return self._together(values)
        return join_words(self._item(item) for item in self.items)

    @property
    def text_with_at(self) -> str:
        """The text, with `at` in front if the field lists values."""
        return f"at {self.text}" if any(map(_is_single, self.items)) else self.text

    @property
    def name(self) -> str:
        """For example `minute`, `day of month`."""
        return self.field.name

    def label(self, value: int) -> str:
        """Format a value as `5`, `January`, `Monday`."""
        return self.field.names[value - self.field.lowest].capitalize() if self.field.names else str(value)

    def every_text(self, step: int) -> str:
        """Format a step as `every minute`, `every fifth minute`."""
        return f"every {self.name}" if step == 1 else f"every {ordinal(step)} {self.name}"

    def _together(self, values: list[int]) -> str:
        if self.field is DAY_FIELD:
            return f"{join_words(f'the {ordinal(value)}' for value in values)} day of month"
        names = join_words(map(self.label, values))
        return names if self.field in _LABELLED else f"{self.name}s {names}"

    def _item(self, item: CronRange) -> str:
        if _is_single(item):
            return self._single(item.start)
        if self.is_whole(item) and not (self.field is WEEKDAY_FIELD and item.step == 1):
            return self.every_text(item.step)
        ends = f"{self.label(item.start)} through {self.label(item.stop)}"
        return ends if self.field is WEEKDAY_FIELD and item.step == 1 else f"{self.every_text(item.step)} from {ends}"

    def _single(self, value: int) -> str:
        if self.field is DAY_FIELD:
            return f"the {ordinal(value)} day of month"
        return self.label(value) if self.field in _LABELLED else f"{self.name} {value}"


def _is_single(item: CronRange) -> bool:
    return item.start == item.stop


_MAX_TIMES = 4
"""Maximum number of times of day that are listed."""


def explain_cron(cron: Ncrontab) -> str:
    """Describe as `At 03:00 every day`, `Every fifth minute of every hour on Monday through Friday`."""
    parts = MACROS.get(cron.text, cron.text).split()
    texts = parts if len(parts) == len(CRON_FIELDS) else ["0", *parts]
    second, minute, hour, day, month, weekday = map(FieldWords.from_text, CRON_FIELDS, texts)
    times = _times(second, minute, hour)
    days = _days(day, month, weekday, texts[5] == "*", named_times=times is not None)
    text = " ".join(filter(None, (times or _clock(second, minute, hour), days)))
    return text[0].upper() + text[1:]


# --- Time of day


def _times(second: FieldWords, minute: FieldWords, hour: FieldWords) -> str | None:
    """Describe as `at 13:00 and 13:30` if the expression lists few times; otherwise None."""
    found = [words.values for words in (hour, minute, second)]
    hours, minutes, seconds = (values or [] for values in found)
    if not 0 < len(hours) * len(minutes) * len(seconds) <= _MAX_TIMES:
        return None
    precise = seconds != [0]
    combined = product(sorted(hours), sorted(minutes), sorted(seconds))
    return f"at {join_words(f'{h:02}:{m:02}' + (f':{s:02}' if precise else '') for h, m, s in combined)}"


def _clock(second: FieldWords, minute: FieldWords, hour: FieldWords) -> str:
    if second.only_value == 0:
        return _minutes(minute, hour)
    if minute.covers_all and hour.covers_all:
        return second.text_with_at if second.covers_all else f"{second.text_with_at} of every minute"
    return f"{second.text_with_at} of {minute.text} " + ("of every hour" if hour.covers_all else f"past {hour.text}")


def _minutes(minute: FieldWords, hour: FieldWords) -> str:
    if not hour.covers_all:
        return _cron_window(minute, hour) or f"{minute.text_with_at} past {hour.text}"
    if minute.covers_all:
        return "every minute"
    return "at the start of every hour" if minute.only_value == 0 else f"{minute.text_with_at} of every hour"


def _cron_window(minute: FieldWords, hour: FieldWords) -> str | None:
    """Describe as `every second minute from 09:00 through 17:59` if the hours are consecutive; otherwise None."""
    if len(minute.items) > 1 or len(hour.items) > 1 or hour.items[0].step > 1 or minute.only_value is not None:
        return None
    minutes, hours = minute.items[0], hour.items[0]
    if hours.start < hours.stop and not minute.is_whole(minutes):
        return None
    return (
        f"{minute.every_text(minutes.step)} from {_time(hours, minutes, 'start')} through "
        f"{_time(hours, minutes, 'stop')}"
    )


def _time(hours: CronRange, minutes: CronRange, end: str) -> str:
    return f"{getattr(hours, end):02}:{getattr(minutes, end):02}"


# --- Days


def _days(day: FieldWords, month: FieldWords, weekday: FieldWords, any_weekday: bool, *, named_times: bool) -> str:
    """Describe the days; empty if the schedule is due every day and the time of day implies it."""
    if day.covers_all and any_weekday:
        return _months_alone(month, named_times)
    if any_weekday and day.only_value is not None:
        return _day_of_months(day.only_value, day, month)
    parts = [] if day.covers_all else [f"on {day.text}"]
    if not any_weekday:
        # NCRONTAB requires both day fields to match.
        parts.append(f"on {weekday.text}" if day.covers_all else f"if it's on {weekday.text}")
    if not month.covers_all:
        parts.append(f"in {month.text}")
    return " ".join(parts)


def _months_alone(month: FieldWords, named_times: bool) -> str:
    if month.covers_all:
        return "every day" if named_times else ""
    return f"every day in {month.text}" if named_times and month.values is not None else f"in {month.text}"


def _day_of_months(number: int, day: FieldWords, month: FieldWords) -> str:
    if month.only_value is not None:
        return f"on {month.text} {number}"
    months = "every month" if month.covers_all else month.text
    return f"on {day.text.removesuffix(' of month')} of {months}"


_WEEKDAY = "weekday (Monday to Friday)"


def explain_monthly(schedule: MonthlySchedule) -> str:
    """Describe as `At 02:00 on the last Friday of every month`."""
    months = join_words(_month_names(schedule)) if schedule.month_names else "every month"
    return (
        f"At {join_words(schedule.clock_times)} on {join_words(map(_day, schedule.days))} of "
        f"{months}{_exception(schedule)}"
    )


def _exception(schedule: MonthlySchedule) -> str:
    if schedule.is_never_due:
        return " (never: there is no such day)"
    if not any(day.may_be_missing for day in schedule.days):
        return ""
    if not schedule.use_last_if_missing:
        return " (months without such a day are skipped)"
    weekday = all(day.weekday is not None for day in schedule.days if day.may_be_missing)
    return " (in a month without such a day, the last one)" if weekday else " (in a shorter month, the last day)"


def _month_names(schedule: MonthlySchedule) -> list[str]:
    return [name.capitalize() for month, name in enumerate(MONTH_FIELD.names, 1) if schedule.months >> month & 1]


def _day(day: MonthDay) -> str:
    if day.days_before_last == 0:
        return "the last day"
    if day.days_before_last is not None:
        number = "" if day.days_before_last == 1 else f"{ordinal(day.days_before_last)} "
        return f"the {number}day before the last one"
    if day.weekday is not None:
        place = "last" if day.ordinal is None else ordinal(day.ordinal)
        return f"the {place} {WEEKDAY_FIELD.names[day.weekday].capitalize()}"
    if day.number is None:
        return f"the {day.text.partition('-')[0]} {_WEEKDAY}"
    if day.is_nearest_weekday:
        return f"the {_WEEKDAY} nearest to the {ordinal(day.number)}"
    return f"the {ordinal(day.number)}"


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
    limits = []
    if schedule.start is not None:
        limits.append(f"from {schedule.start.text} on")
    if schedule.end is not None:
        limits.append(f"until {schedule.end.text}")
    if schedule.exclusions:
        clock = (
            f" ({schedule.zone.name} time)" if schedule.zone and isinstance(schedule.schedule, IntervalSchedule) else ""
        )
        limits.append(f"except {join_words(map(_exclusion, schedule.exclusions))}{clock}")
    return limits


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
