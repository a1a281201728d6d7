"""Gives a schedule to a job, and says what all of it comes to. Called by jobs.definition, planning and the CLI."""

from __future__ import annotations

from dataclasses import replace

from jobs.schedules.default import DefaultSchedule
from jobs.schedules.interval import Interval
from jobs.schedules.jittered import Jittered
from jobs.schedules.limited import Limited
from jobs.schedules.protocol import Schedule
from jobs.schedules.several import Several
from jobs.schedules.zoned import Zoned
from jobs.schedules.zones import Zone


def for_job(schedule: Schedule, job: str) -> Schedule:
    """The schedule with the jitter that is this job's; the same one if it has none."""
    if isinstance(schedule, Jittered):
        return replace(schedule, job=job)
    if isinstance(schedule, DefaultSchedule):
        inner = for_job(schedule.schedule, job)
        return schedule if inner is schedule.schedule else DefaultSchedule(inner)
    if isinstance(schedule, Limited):
        inner = for_job(schedule.schedule, job)
        return schedule if inner is schedule.schedule else replace(schedule, schedule=inner)
    if isinstance(schedule, Several):
        parts = tuple(for_job(one, job) for one in schedule.schedules)
        return schedule if all(map(_same, parts, schedule.schedules)) else Several(parts)
    return schedule


def _same(one: object, other: object) -> bool:
    return one is other


def zone_of(schedule: Schedule) -> Zone | None:
    """The zone on whose clock people think of the schedule; None for UTC, or when its parts have several."""
    if isinstance(schedule, Zoned):
        return schedule.zone
    if isinstance(schedule, (Jittered, DefaultSchedule)):
        return zone_of(schedule.schedule)
    if isinstance(schedule, Limited):
        return schedule.zone
    if isinstance(schedule, Several):
        zones = {zone_of(one) for one in schedule.schedules}
        return zones.pop() if len(zones) == 1 else None
    return None


def shift_of(schedule: Schedule) -> tuple[Schedule, int]:
    """A schedule that many jobs may share, and by how many milliseconds all instants of this one are later than its."""
    if isinstance(schedule, DefaultSchedule):
        return shift_of(schedule.schedule)
    if isinstance(schedule, Jittered):
        inner, shift = shift_of(schedule.schedule)
        return inner, shift + schedule.shift_ms
    if isinstance(schedule, Interval) and schedule.offset_ms:
        return Interval(schedule.every_ms / 1000), schedule.offset_ms
    return schedule, 0
