"""Public holidays and other days on which schedules are not due. Pure. Called by scheduler.queries.forecast.reader."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from jobs.definition import JobDefinition
from jobs.schedules import BoundedSchedule, DefaultSchedule, JitteredSchedule, Schedule, UnionSchedule
from jobs.schedules.exclusions import DAY_SECONDS, ExcludedDates, PublicHolidays

_EPOCH = date(1970, 1, 1)

Calendar = ExcludedDates | PublicHolidays


@dataclass(frozen=True, slots=True)
class ExcludedDay:
    """A day of the local time of schedules. `calendar`: such as `holidays of DE-BE`. `jobs`: those that exclude it."""

    day: date
    calendar: str
    is_holiday: bool
    jobs: Sequence[str]


def find_excluded_days(
    jobs: Iterable[JobDefinition], first: date, last: date
) -> Generator[None, None, list[ExcludedDay]]:
    """Return the days from `first` to `last`, inclusive, that a job excludes, in order."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    excluded: dict[Calendar, list[date]] = {}
    found: dict[tuple[date, bool, str], list[str]] = {}
    for job in jobs:
        for calendar in dict.fromkeys(_list_calendars(job.schedule)) if job.enabled else ():
            if calendar not in excluded:
                excluded[calendar] = [day for day in days if _contains(calendar, day)]
            is_holiday = isinstance(calendar, PublicHolidays)
            for day in excluded[calendar]:
                name = calendar.text if is_holiday else "dates of a schedule"
                found.setdefault((day, not is_holiday, name), []).append(job.name)
        yield
    return [ExcludedDay(day, name, not is_date, names) for (day, is_date, name), names in sorted(found.items())]


def _contains(calendar: Calendar, day: date) -> bool:
    return calendar.period_end((day - _EPOCH).days * DAY_SECONDS) is not None


def _list_calendars(schedule: Schedule | None) -> Iterator[Calendar]:
    if isinstance(schedule, BoundedSchedule):
        for exclusion in schedule.exclusions:
            if isinstance(exclusion, (ExcludedDates, PublicHolidays)):
                yield exclusion
    if isinstance(schedule, (BoundedSchedule, DefaultSchedule, JitteredSchedule)):
        yield from _list_calendars(schedule.schedule)
    elif isinstance(schedule, UnionSchedule):
        for part in schedule.schedules:
            yield from _list_calendars(part)
