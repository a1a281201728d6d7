"""When a job is due: NCRONTAB expressions and intervals, read once into frozen values that name their next due instant.

Called by jobs.definition (reads and writes a job's `schedule`), by scheduler.planning (asks for due instants) and by
the CLI's `next`:

    schedule = parse_schedule("0 */5 * * * *")       # or "00:05:00", {"every": "5m"}, {"cron": "*/5 * * * *"}
    due = schedule.next_after(now)                   # aware UTC, strictly later; None if it never fires again
    due_ms = schedule.next_after_ms(now_ms)          # the same in whole milliseconds, for planning many jobs
    assert parse_schedule(schedule.spec) == schedule

Days of the month that NCRONTAB has no way to name are a mapping of their own (see .monthly). An expression is in UTC,
or on the wall clock of the zone that its mapping names (see .zoned). Due instants are in UTC always. Around expressions
and intervals stand, each a `Schedule` too: a jitter that is its job's (.jittered), start, end and exclusions
(.limited), and a list of several (.several).
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
