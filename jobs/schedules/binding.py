"""Gives a schedule to a job, and says what all of it comes to. Called by jobs.definition, planning and the CLI."""

from __future__ import annotations

from dataclasses import replace

from jobs.schedules.bounded import BoundedSchedule
from jobs.schedules.default_schedule import DefaultSchedule
from jobs.schedules.interval import IntervalSchedule
from jobs.schedules.jittered import JitteredSchedule
from jobs.schedules.protocol import Schedule
from jobs.schedules.time_zones.time_zone import TimeZone
from jobs.schedules.time_zones.zoned_schedule import ZonedSchedule
from jobs.schedules.union import UnionSchedule


def bind_to_job(schedule: Schedule, job: str) -> Schedule:
    """The schedule with the jitter that is this job's; the same one if it has none."""
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


def _same(one: object, other: object) -> bool:
    return one is other


def zone_of(schedule: Schedule) -> TimeZone | None:
    """The zone on whose clock people think of the schedule; None for UTC, or when its parts have several."""
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
    """A schedule that many jobs may share, and by how many milliseconds all instants of this one are later than its."""
    if isinstance(schedule, DefaultSchedule):
        return split_shift(schedule.schedule)
    if isinstance(schedule, JitteredSchedule):
        inner, shift = split_shift(schedule.schedule)
        return inner, shift + schedule.shift_ms
    if isinstance(schedule, IntervalSchedule) and schedule.offset_ms:
        return IntervalSchedule(schedule.every_ms / 1000), schedule.offset_ms
    return schedule, 0
