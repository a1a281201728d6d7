"""Schedules: when a job is due. Parsed once into frozen values that compute their next due instant.

Called by jobs.definition (parses and serialises a job's `schedule`), by scheduler.planning (computes due instants) and
by the command line:

    schedule = parse_schedule("0 */5 * * * *")       # or "00:05:00", {"every": "5m"}, {"cron": "*/5 * * * *"}
    due = schedule.next_after(now)                   # aware UTC, strictly later; None if it is never due again
    due_ms = schedule.next_after_ms(now_ms)          # the same in whole milliseconds, for planning many jobs
    assert parse_schedule(schedule.spec) == schedule

`cron` has NCRONTAB expressions, `calendars` days of the month and exclusions, `time_zones` the local time of a zone.
Due instants are always in UTC. A schedule may be wrapped in others: a jitter (.jittered), start, end and exclusions
(.bounded), a union of several (.union).
"""

from jobs.schedules.binding import bind_to_job, split_shift, zone_of
from jobs.schedules.bounded import BoundedSchedule
from jobs.schedules.calendars.monthly import MonthlySchedule
from jobs.schedules.cron.ncrontab import Ncrontab
from jobs.schedules.default_schedule import DefaultSchedule
from jobs.schedules.interval import IntervalSchedule
from jobs.schedules.jittered import JitteredSchedule
from jobs.schedules.milliseconds import from_milliseconds, to_milliseconds
from jobs.schedules.parsing import parse_schedule
from jobs.schedules.protocol import Schedule
from jobs.schedules.time_zones.time_zone import TimeZone, load_time_zone
from jobs.schedules.time_zones.zoned_schedule import DstPolicy, ZonedSchedule
from jobs.schedules.union import UnionSchedule

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
    "from_milliseconds",
    "load_time_zone",
    "parse_schedule",
    "split_shift",
    "to_milliseconds",
    "zone_of",
]
