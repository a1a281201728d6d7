"""Binds a schedule to a job, and describes a wrapped schedule. Called by jobs.definition, planning and the CLI."""

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


def _same(one: object, other: object) -> bool:
    return one is other


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
