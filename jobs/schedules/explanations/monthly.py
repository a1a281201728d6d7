"""A monthly schedule in plain English. Called by jobs.schedules.explanations.schedules."""

from __future__ import annotations

from jobs.schedules.calendars.month_days import MonthDay
from jobs.schedules.calendars.monthly import MonthlySchedule
from jobs.schedules.cron.fields import MONTH_FIELD, WEEKDAY_FIELD
from jobs.schedules.explanations.english import join_words, ordinal

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
