"""An NCRONTAB expression in plain English: time of day, then days. Called by jobs.schedules.explanations.schedules."""

from __future__ import annotations

from itertools import product

from jobs.schedules.cron.fields import CronRange
from jobs.schedules.cron.macros import MACROS
from jobs.schedules.cron.ncrontab import CRON_FIELDS, Ncrontab
from jobs.schedules.explanations.english import FieldWords, join_words

_MOST_TIMES = 4
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
    if not 0 < len(hours) * len(minutes) * len(seconds) <= _MOST_TIMES:
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
        return _window(minute, hour) or f"{minute.text_with_at} past {hour.text}"
    if minute.covers_all:
        return "every minute"
    return "at the start of every hour" if minute.only_value == 0 else f"{minute.text_with_at} of every hour"


def _window(minute: FieldWords, hour: FieldWords) -> str | None:
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
