"""A time range in a job file, in one of four forms: once, by a schedule, weekly, by calendar days. Pure.

- `{from: 2026-12-01T22:00, until: 2026-12-02T04:00}`, or `for` instead of `until`;
- `{schedule: {cron: "0 0 2 * * SUN"}, for: 3h}`: from each due instant of a schedule on;
- `{weekly: {from: FRIDAY 22:00, to: SUNDAY 17:00}}`, one period a week over several days, or
  `{weekly: {days: MON-FRI, from: "22:00"}, for: 2h}`, on each of these days, to the following one if it ends after
  midnight;
- `{calendar: [{holidays: DE, subdivision: BE}, {dates: ["2026-12-24"]}]}`: whole days.

`timezone` is that of local times; a schedule has its own. `except` omits weekly periods, as in a schedule.

A period begins when the local clock first shows its begin or a later time, and ends when the clock first shows its end
after that. So a begin or an end in a DST gap is the end of the gap, one in a DST fold is the first of the two
instants, and a period is always one piece. In the code, `wall` is what a local clock shows, as seconds since
1970-01-01T00:00 by that clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from jobs.errors import ScheduleError
from jobs.fast_frozen import fast_frozen
from jobs.incidents.suppression.spans import Once, Periods, Span
from jobs.model_base import Duration, FrozenModel
from jobs.schedules.exclusions import (
    DAY_SECONDS,
    EVERY_DAY,
    Exclusion,
    read_exclusions,
    read_time_of_day,
    read_weekday,
    read_weekdays,
)
from jobs.schedules.parsing import EXCLUSIONS_SCHEMA, SCHEDULE_SCHEMA, WEEKLY_SCHEMA, parse_schedule
from jobs.schedules.protocol import EPOCH, Schedule, from_milliseconds, refuse_unknown_keys
from jobs.schedules.time_zones import TimeZone, load_time_zone

DAYS_IN_SIGHT = 800
"""Two years, for periods that exclude most days."""
_BEFORE = 26 * 3600
"""Seconds. More than a local time differs from UTC."""


@fast_frozen(frozen=True, slots=True)
class WeeklyPeriods:
    """`days`: bit mask of the weekdays of the begin, Monday is bit 0. `begin`: second of the day.

    `length`: seconds of local time, or of elapsed time with `is_elapsed`. A period that would begin within one of
    `exclusions` is omitted.
    """

    days: int
    begin: int
    length: int
    is_elapsed: bool
    zone: TimeZone
    exclusions: tuple[Exclusion, ...] = ()

    def spans_from(self, at: datetime) -> Iterator[Span]:
        first = local_day(at, self.zone) - self.length // DAY_SECONDS - 2
        for day in range(first, first + DAYS_IN_SIGHT):
            # The first day of the epoch was a Thursday.
            if not self.days >> (day + 3) % 7 & 1:
                continue
            wall = day * DAY_SECONDS + self.begin
            if any(each.period_end(wall) is not None for each in self.exclusions):
                continue
            begin = first_second_of(wall, self.zone)
            end = begin + self.length if self.is_elapsed else _end_of(wall + self.length, begin, self.zone)
            if end > begin and _instant(end) > at:
                yield Span(_instant(begin), _instant(end))


@fast_frozen(frozen=True, slots=True)
class CalendarDays:
    """Inside during `days`, such as public holidays, by the local time of `zone`."""

    days: tuple[Exclusion, ...]
    zone: TimeZone

    def spans_from(self, at: datetime) -> Iterator[Span]:
        wall = (local_day(at, self.zone) - 1) * DAY_SECONDS
        limit = wall + DAYS_IN_SIGHT * DAY_SECONDS
        while wall < limit:
            ends = [end for each in self.days if (end := each.period_end(wall)) is not None]
            if not ends:
                wall += DAY_SECONDS
                continue
            begin = first_second_of(wall, self.zone)
            end = _end_of(max(ends), begin, self.zone)
            if end > begin and _instant(end) > at:
                yield Span(_instant(begin), _instant(end))
            wall = max(ends)


def local_day(at: datetime, zone: TimeZone) -> int:
    """Return the local day as a number, 0 for 1970-01-01."""
    return zone.wall_second((at - EPOCH) // timedelta(seconds=1)) // DAY_SECONDS


def first_second_of(wall: int, zone: TimeZone) -> int:
    """Return the first second at which the local clock shows a time or a later one."""
    return zone.first_second_showing(wall, wall - _BEFORE)


def read_local_instant(text: str, zone: TimeZone) -> datetime:
    """Parse ISO 8601 to an aware UTC datetime; without an offset by the rule of this module. Raises ValueError."""
    instant = datetime.fromisoformat(text.strip())
    if instant.tzinfo is not None:
        return instant.astimezone(EPOCH.tzinfo)
    return _instant(first_second_of((instant.replace(tzinfo=EPOCH.tzinfo) - EPOCH) // timedelta(seconds=1), zone))


def _end_of(wall: int, begin: int, zone: TimeZone) -> int:
    return zone.first_second_showing(wall, begin)


def _instant(second: int) -> datetime:
    return from_milliseconds(second * 1000)


@fast_frozen(frozen=True, slots=True)
class RecurringPeriods:
    """`length` is elapsed time: a period of 3 hours has 3 hours, also when local time changes within it."""

    schedule: Schedule
    length: timedelta

    def spans_from(self, at: datetime) -> Iterator[Span]:
        begin = self.schedule.next_after(at - self.length)
        while begin is not None:
            yield Span(begin, begin + self.length)
            begin = self.schedule.next_after(begin)


WEEK_SECONDS = 7 * DAY_SECONDS


@fast_frozen(frozen=True, slots=True)
class WeeklyTimes:
    """`days`: bit mask, Monday is bit 0. `begin`: second of the day. `length`: seconds of local time; 0: by `for`."""

    days: int
    begin: int
    length: int
    spec: tuple[tuple[str, object], ...]
    """Its form in a job file."""


def read_weekly(value: object) -> WeeklyTimes:
    """Parse the mapping. Raises ScheduleError, which names the key and the remedy."""
    if isinstance(value, WeeklyTimes):
        return value
    if not isinstance(value, Mapping) or not value:
        raise ScheduleError(
            "a mapping is expected, like {days: MON-FRI, from: '22:00', to: '06:00'} or {from: FRIDAY 22:00, "
            f"to: SUNDAY 17:00}}, not {value!r:.40}"
        )
    refuse_unknown_keys(value, ("days", "from", "to"), "a weekly period")
    begin_day, begin = _read_point(value.get("from", "00:00"), "from")
    if begin == DAY_SECONDS:
        raise ScheduleError("from: 24:00 is not valid, a day starts at 00:00")
    end_day, end = _read_point(value["to"], "to") if "to" in value else (None, None)
    days = read_weekdays(value["days"], "days") if "days" in value else EVERY_DAY
    spec = tuple(value.items())
    if begin_day is None and end_day is None:
        return WeeklyTimes(days, begin, _daily_length(begin, end, value), spec)
    if "days" in value:
        raise ScheduleError("days: from and to have weekdays already: remove days")
    if begin_day is None or (end_day is None and end is not None):
        raise ScheduleError("from and to: both or none have a weekday, like FRIDAY 22:00 and SUNDAY 17:00")
    return WeeklyTimes(1 << begin_day, begin, _length_over_days(begin_day, begin, end_day, end), spec)


def _daily_length(begin: int, end: int | None, value: Mapping[object, object]) -> int:
    if end is None:
        return 0 if "from" in value else DAY_SECONDS
    if end == begin:
        raise ScheduleError("to: is equal to from: remove both for whole days")
    return end - begin if end > begin else end - begin + DAY_SECONDS


def _length_over_days(begin_day: int, begin: int, end_day: int | None, end: int | None) -> int:
    if end_day is None or end is None:
        return 0
    if end_day == begin_day and end <= begin:
        raise ScheduleError("to: is not after from: write a later time, or another weekday")
    return ((end_day - begin_day) % 7) * DAY_SECONDS + end - begin


def _read_point(value: object, path: str) -> tuple[int | None, int]:
    """Parse `FRIDAY 22:00` or `22:00`; a weekday alone is its start as `from`, its end as `to`."""
    parts = value.split() if isinstance(value, str) else []
    if len(parts) == 1 and parts[0].isalpha():
        return read_weekday(parts[0], path), 0 if path == "from" else DAY_SECONDS
    if len(parts) == 2:
        return read_weekday(parts[0], path), read_time_of_day(parts[1], path)
    return None, read_time_of_day(value, path)


MAX_PERIOD = 366 * 86_400.0
"""Seconds of one period."""

_FORMS = ("from_", "schedule", "weekly", "calendar")
_FORM_HELP = (
    "write {from: '2026-12-01T22:00', until: '2026-12-02T04:00'}, {schedule: '0 0 2 * * SUN', for: 3h}, "
    "{weekly: {from: FRIDAY 22:00, to: SUNDAY 17:00}} or {calendar: [{holidays: DE}]}"
)


def _read_schedule(value: object) -> Schedule:
    schedule = parse_schedule(value)
    specs = schedule.spec if isinstance(schedule.spec, list) else [schedule.spec]
    if any(isinstance(spec, dict) and "jitter" in spec for spec in specs):
        raise ValueError("jitter: a period begins at one instant for all jobs: remove jitter")
    return schedule


def _read_days(value: object) -> tuple[Exclusion, ...]:
    return value if isinstance(value, tuple) else read_exclusions(value)


def _read_zone(value: object) -> TimeZone:
    return value if isinstance(value, TimeZone) else load_time_zone(value)


PeriodSchedule = Annotated[
    Schedule,
    PlainValidator(_read_schedule),
    PlainSerializer(lambda schedule: schedule.spec, return_type=Any),
    WithJsonSchema(SCHEDULE_SCHEMA),
]
WeeklyField = Annotated[
    WeeklyTimes,
    PlainValidator(read_weekly),
    PlainSerializer(lambda weekly: dict(weekly.spec), return_type=dict[str, Any]),
    WithJsonSchema({**WEEKLY_SCHEMA, "examples": [{"from": "FRIDAY 22:00", "to": "SUNDAY 17:00"}]}),
]
CalendarField = Annotated[
    tuple[Exclusion, ...],
    PlainValidator(_read_days),
    PlainSerializer(lambda days: [each.spec for each in days], return_type=list[dict[str, Any]]),
    WithJsonSchema(EXCLUSIONS_SCHEMA),
]
ZoneField = Annotated[
    TimeZone,
    PlainValidator(_read_zone),
    PlainSerializer(lambda zone: zone.name, return_type=str),
    WithJsonSchema({"type": "string", "description": "IANA name; UTC if absent", "examples": ["Europe/Berlin"]}),
]


class PeriodDefinition(FrozenModel):
    """One period as job files and requests write it. Instants without an offset are local times of `timezone`."""

    from_: str | None = Field(default=None, alias="from")
    until: str | None = None
    schedule: PeriodSchedule | None = None
    weekly: WeeklyField | None = None
    calendar: CalendarField | None = None
    for_: Annotated[Duration, Field(gt=0, le=MAX_PERIOD)] | None = Field(default=None, alias="for")
    timezone: ZoneField | None = None
    except_: CalendarField = Field(default=(), alias="except")

    @property
    def zone(self) -> TimeZone:
        return self.timezone or load_time_zone("UTC")

    @cached_property
    def periods(self) -> Periods:
        if self.schedule is not None and self.for_ is not None:
            return RecurringPeriods(self.schedule, timedelta(seconds=self.for_))
        if self.weekly is not None:
            length, is_elapsed = (self.weekly.length, False) if self.for_ is None else (int(self.for_), True)
            return WeeklyPeriods(self.weekly.days, self.weekly.begin, length, is_elapsed, self.zone, self.except_)
        if self.calendar is not None:
            return CalendarDays(self.calendar, self.zone)
        return Once(self._read_span())

    @model_validator(mode="after")
    def _is_one_valid_form(self) -> Self:
        forms = [name for name in _FORMS if getattr(self, name) is not None]
        if len(forms) != 1:
            found = " and ".join(name.rstrip("_") for name in forms) or "none"
            raise ValueError(f"one of from, schedule, weekly and calendar is required, not {found}: {_FORM_HELP}")
        self._refuse_keys_of_other_forms(forms[0])
        self._require_an_end(forms[0])
        if forms[0] == "from_":
            self._read_span()
        return self

    def _refuse_keys_of_other_forms(self, form: str) -> None:
        if self.until is not None and form != "from_":
            raise ValueError("until: is only valid with from: write for, or to of weekly")
        if self.except_ and form != "weekly":
            raise ValueError("except: is only valid with weekly; of a schedule, write it into the schedule")
        if self.timezone is not None and form == "schedule":
            raise ValueError("timezone: write it into the schedule, like {cron: 0 0 2 * * *, timezone: Europe/Berlin}")
        if self.for_ is not None and form == "calendar":
            raise ValueError("for: calendar has whole days: remove for")

    def _require_an_end(self, form: str) -> None:
        if form == "schedule" and self.for_ is None:
            raise ValueError("for: is required with schedule: write how long each period lasts, like for: 3h")
        if form == "from_" and (self.until is None) == (self.for_ is None):
            raise ValueError("from requires one of until and for, like until: '2026-12-02T04:00' or for: 30m")
        if self.weekly is not None and (self.weekly.length == 0) == (self.for_ is None):
            raise ValueError("weekly requires one of to and for, like {from: '22:00', to: '06:00'} or for: 8h")
        if self.weekly is not None and self.for_ is not None and not 1 <= self.for_ <= WEEK_SECONDS:
            raise ValueError("for: a weekly period lasts 1s to 7d")

    def _read_span(self) -> Span:
        begin = self._read_instant("from", self.from_ or "")
        try:
            end = self._read_instant("until", self.until) if self.until else begin + timedelta(seconds=self.for_ or 0)
        except OverflowError:
            raise ValueError("for: the period would end after the year 9999: write a shorter one") from None
        if end <= begin:
            raise ValueError(f"until: {self.until} is not after from, {self.from_}: write a later instant")
        return Span(begin, end)

    def _read_instant(self, key: str, text: str) -> datetime:
        try:
            return read_local_instant(text, self.zone)
        except (ValueError, OverflowError):
            raise ValueError(
                f"{key}: {text!r:.60} is not an instant in ISO 8601: write it like '2026-12-01T22:00' (local time of "
                "timezone) or '2026-12-01T22:00:00Z'"
            ) from None
