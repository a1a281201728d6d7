"""A time range in a job file, in one of four forms. Pure; used by windows, mute times and routes.

- `{from: 2026-12-01T22:00, until: 2026-12-02T04:00}`, or `for` instead of `until`;
- `{schedule: {cron: "0 0 2 * * SUN"}, for: 3h}`: from each due instant of a schedule on;
- `{weekly: {from: FRIDAY 22:00, to: SUNDAY 17:00}}`, or `{weekly: {days: MON-FRI, from: "22:00"}, for: 2h}`;
- `{calendar: [{holidays: DE, subdivision: BE}, {dates: ["2026-12-24"]}]}`: whole days.

`timezone` is that of local times; a schedule has its own. `except` omits weekly periods, as in a schedule.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from jobs.incidents.suppression.periods.local_days import CalendarDays, WeeklyPeriods, read_local_instant
from jobs.incidents.suppression.periods.recurring import RecurringPeriods
from jobs.incidents.suppression.periods.spans import Once, Periods, Span
from jobs.incidents.suppression.periods.weekly import WEEK_SECONDS, WeeklyTimes, read_weekly
from jobs.model_base import Duration, FrozenModel
from jobs.schedules.exclusions import Exclusion, read_exclusions
from jobs.schedules.json_schema import EXCLUSIONS_SCHEMA, SCHEDULE_SCHEMA, WEEKLY_SCHEMA
from jobs.schedules.parsing import parse_schedule
from jobs.schedules.protocol import Schedule
from jobs.schedules.time_zones import TimeZone, load_time_zone

LONGEST_PERIOD = 366 * 86_400.0
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
    """See the module. Instants without an offset are local times of `timezone`."""

    from_: str | None = Field(default=None, alias="from")
    until: str | None = None
    schedule: PeriodSchedule | None = None
    weekly: WeeklyField | None = None
    calendar: CalendarField | None = None
    for_: Annotated[Duration, Field(gt=0, le=LONGEST_PERIOD)] | None = Field(default=None, alias="for")
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
