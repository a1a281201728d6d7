"""Schedules: when a job is due. Parsed once into frozen values that compute their next due instant.

Called by jobs.definition (parses and serialises a job's `schedule`), by scheduler.planning (computes due instants) and
by the command line:

    schedule = parse_schedule("0 */5 * * * *")       # or "00:05:00", {"every": "5m"}, {"cron": "*/5 * * * *"}
    due = schedule.next_after(now)                   # aware UTC, strictly later; None if it is never due again
    due_ms = schedule.next_after_ms(now_ms)          # the same in whole milliseconds, for planning many jobs
    assert parse_schedule(schedule.spec) == schedule

`cron` has NCRONTAB expressions, `calendars` days of the month and exclusions, `time_zones` the local time of a zone.
Due instants are always in UTC. A schedule may be wrapped in others: a jitter, start, end and
exclusions, a union of several.
"""

from jobs.schedules.monthly import MonthlySchedule
from jobs.schedules.ncrontab import Ncrontab
from jobs.schedules.parsing import parse_schedule
from jobs.schedules.protocol import IntervalSchedule, Schedule, find_shortest_gap, from_milliseconds, to_milliseconds
from jobs.schedules.time_zones import DstPolicy, TimeZone, ZonedSchedule, load_time_zone
from jobs.schedules.variants import (
    BoundedSchedule,
    DefaultSchedule,
    JitteredSchedule,
    UnionSchedule,
    bind_to_job,
    split_shift,
    zone_of,
)

__all__ = [
    "BoundedSchedule",
    "DefaultSchedule",
    "DstPolicy",
    "IntervalSchedule",
    "JitteredSchedule",
    "MonthlySchedule",
    "Ncrontab",
    "Schedule",
    "TimeZone",
    "UnionSchedule",
    "ZonedSchedule",
    "bind_to_job",
    "find_shortest_gap",
    "from_milliseconds",
    "load_time_zone",
    "parse_schedule",
    "split_shift",
    "to_milliseconds",
    "zone_of",
]
