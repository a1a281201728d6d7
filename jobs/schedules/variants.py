"""Schedules that wrap others: bounded in time, jittered, several at once, the implicit default, and bound to a job."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from hashlib import blake2b
from typing import Any

from jobs.errors import ScheduleError
from jobs.formats import format_duration
from jobs.schedules.exclusions import Exclusion
from jobs.schedules.protocol import (
    FIRST_MS,
    LAST_MS,
    IntervalSchedule,
    MillisecondSchedule,
    Schedule,
    spec_as_mapping,
    to_milliseconds,
)
from jobs.schedules.time_zones import TimeZone, ZonedSchedule


class WrappedSchedule(MillisecondSchedule):
    """`schedule`: the wrapped one, which determines these properties."""

    __slots__ = ()

    schedule: Schedule

    @property
    def is_interval_like(self) -> bool:
        return self.schedule.is_interval_like

    @property
    def monitor_disabled(self) -> bool:
        return self.schedule.monitor_disabled


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


MAX_EXCLUDED_PERIODS = 1000
"""Consecutive excluded periods after which the search ends: nearly three years of days, nineteen of weekends."""


@dataclass(frozen=True, slots=True)
class BoundedSchedule(WrappedSchedule):
    """Due when `schedule` is due within the bounds (both included) and outside of `exclusions`.

    After MAX_EXCLUDED_PERIODS consecutive excluded periods the schedule counts as never due again.
    """

    schedule: Schedule
    zone: TimeZone | None = None
    """The time zone of the exclusions; None for UTC."""
    start: ScheduleBound | None = None
    end: ScheduleBound | None = None
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def text(self) -> str:
        """For example `0 0 3 * * *, from 2026-12-01, except 2026-12-24`."""
        parts = [self.schedule.text]
        if self.start is not None:
            parts.append(f"from {self.start.text}")
        if self.end is not None:
            parts.append(f"until {self.end.text}")
        if self.exclusions:
            parts.append(f"except {', '.join(exclusion.text for exclusion in self.exclusions)}")
        return ", ".join(parts)

    @property
    def spec(self) -> dict[str, Any]:
        spec = spec_as_mapping(self.schedule)
        if self.zone is not None:
            spec["timezone"] = self.zone.name
        if self.start is not None:
            spec["start"] = self.start.text
        if self.end is not None:
            spec["end"] = self.end.text
        if self.exclusions:
            spec["except"] = [exclusion.spec for exclusion in self.exclusions]
        return spec

    def next_after_ms(self, milliseconds: int) -> int | None:
        if self.start is not None:
            milliseconds = max(milliseconds, self.start.milliseconds - 1)
        for _ in range(MAX_EXCLUDED_PERIODS):
            due = self.schedule.next_after_ms(milliseconds)
            if due is None or (self.end is not None and due > self.end.milliseconds):
                return None
            included_at = self._included_at(due)
            if included_at == due:
                return due
            milliseconds = included_at - 1
        return None

    def _included_at(self, due: int) -> int:
        """Return the instant itself if it is not excluded, otherwise the end of the exclusions that contain it."""
        second = due // 1000
        wall = second if self.zone is None else self.zone.wall_second(second)
        ends = [end for exclusion in self.exclusions if (end := exclusion.period_end(wall)) is not None]
        if not ends:
            return due
        end = max(ends)
        if self.zone is None:
            return 1000 * end
        # When local time goes back, times before the exclusion repeat: search again from the change.
        return 1000 * min(self.zone.first_second_showing(end, second + 1), self.zone.span_at(second).end)


@dataclass(frozen=True, slots=True)
class JitteredSchedule(WrappedSchedule):
    """Later than `schedule` by a part of the jitter that follows from the job's name, hence the same everywhere.

    Without a job it is not delayed. No instant is delayed past the next one of an interval.
    """

    schedule: Schedule
    jitter_seconds: float
    job: str = ""
    shift_ms: int = field(init=False, compare=False)
    """In [0, jitter)."""

    def __post_init__(self) -> None:
        span = round(self.jitter_seconds * 1000)
        if isinstance(self.schedule, IntervalSchedule):
            span = min(span, self.schedule.every_ms)
        object.__setattr__(self, "shift_ms", _fraction(self.job, span) if self.job else 0)

    @property
    def text(self) -> str:
        """For example `0 0 3 * * *, jitter 20s`."""
        return f"{self.schedule.text}, jitter {format_duration(self.jitter_seconds)}"

    @property
    def spec(self) -> dict[str, Any]:
        return {**spec_as_mapping(self.schedule), "jitter": format_duration(self.jitter_seconds)}

    def next_after_ms(self, milliseconds: int) -> int | None:
        due = self.schedule.next_after_ms(max(milliseconds - self.shift_ms, FIRST_MS))
        return None if due is None or due + self.shift_ms > LAST_MS else due + self.shift_ms


def _fraction(name: str, span: int) -> int:
    """Map the name to a number in [0, span), uniformly over names."""
    drawn = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
    return drawn * span >> 64


@dataclass(frozen=True, slots=True)
class UnionSchedule(MillisecondSchedule):
    """Due whenever one of `schedules` is; an instant of two of them is due once."""

    schedules: tuple[Schedule, ...]

    @property
    def text(self) -> str:
        """For example `0 0 3 * * *; every 5m`."""
        return "; ".join(schedule.text for schedule in self.schedules)

    @property
    def spec(self) -> list[object]:
        return [schedule.spec for schedule in self.schedules]

    @property
    def is_interval_like(self) -> bool:
        """Whether one of them is."""
        return any(schedule.is_interval_like for schedule in self.schedules)

    @property
    def monitor_disabled(self) -> bool:
        """Whether this is true for one of them."""
        return any(schedule.monitor_disabled for schedule in self.schedules)

    def next_after_ms(self, milliseconds: int) -> int | None:
        due = (schedule.next_after_ms(milliseconds) for schedule in self.schedules)
        return min((one for one in due if one is not None), default=None)


@dataclass(frozen=True, slots=True)
class DefaultSchedule(WrappedSchedule):
    """Due whenever `schedule` is. Its text names the setting."""

    schedule: Schedule

    @property
    def text(self) -> str:
        """Format for example as `0 * * * * * (default_schedule)`."""
        return f"{self.schedule.text} (default_schedule)"

    @property
    def spec(self) -> str | dict[str, Any] | list[Any]:
        return self.schedule.spec

    def next_after_ms(self, milliseconds: int) -> int | None:
        return self.schedule.next_after_ms(milliseconds)


def bind_to_job(schedule: Schedule, job: str) -> Schedule:
    """Return the schedule with this job's jitter; the same object if it has none."""
    if isinstance(schedule, JitteredSchedule):
        return replace(schedule, job=job)
    if isinstance(schedule, DefaultSchedule):
        inner = bind_to_job(schedule.schedule, job)
        return schedule if inner is schedule.schedule else DefaultSchedule(inner)
    if isinstance(schedule, BoundedSchedule):
        inner = bind_to_job(schedule.schedule, job)
        return schedule if inner is schedule.schedule else replace(schedule, schedule=inner)
    if isinstance(schedule, UnionSchedule):
        parts = tuple(bind_to_job(one, job) for one in schedule.schedules)
        return schedule if all(map(_same, parts, schedule.schedules)) else UnionSchedule(parts)
    return schedule


def _same(value: object, other: object) -> bool:
    return value is other


def zone_of(schedule: Schedule) -> TimeZone | None:
    """Return the time zone of the schedule's local times; None for UTC, or if its parts have different ones."""
    if isinstance(schedule, ZonedSchedule):
        return schedule.zone
    if isinstance(schedule, (JitteredSchedule, DefaultSchedule)):
        return zone_of(schedule.schedule)
    if isinstance(schedule, BoundedSchedule):
        return schedule.zone
    if isinstance(schedule, UnionSchedule):
        zones = {zone_of(one) for one in schedule.schedules}
        return zones.pop() if len(zones) == 1 else None
    return None


def split_shift(schedule: Schedule) -> tuple[Schedule, int]:
    """Return a schedule that many jobs can share, and the milliseconds that this one is later than it."""
    if isinstance(schedule, DefaultSchedule):
        return split_shift(schedule.schedule)
    if isinstance(schedule, JitteredSchedule):
        inner, shift = split_shift(schedule.schedule)
        return inner, shift + schedule.shift_ms
    if isinstance(schedule, IntervalSchedule) and schedule.offset_ms:
        return IntervalSchedule(schedule.every_ms / 1000), schedule.offset_ms
    return schedule, 0
