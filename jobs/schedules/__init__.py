"""When a job is due: NCRONTAB expressions and intervals, read once into frozen values that name their next due instant.

Called by jobs.definition (reads and writes a job's `schedule`), by scheduler.planning (asks for due instants) and by
the CLI's `next`:

    schedule = parse_schedule("0 */5 * * * *")       # or "00:05:00", {"every": "5m"}, {"cron": "*/5 * * * *"}
    due = schedule.next_after(now)                   # aware UTC, strictly later; None if it never fires again
    due_ms = schedule.next_after_ms(now_ms)          # the same in whole milliseconds, for planning many jobs
    assert parse_schedule(schedule.spec) == schedule

Everything is in UTC. A zone would be one more kind of `Schedule`, which maps its wall clock to `Ncrontab.next_second`.
"""

from jobs.schedules.instants import from_milliseconds, to_milliseconds
from jobs.schedules.interval import Interval
from jobs.schedules.ncrontab import Ncrontab
from jobs.schedules.parsing import Schedule, parse_schedule

__all__ = ["Interval", "Ncrontab", "Schedule", "from_milliseconds", "parse_schedule", "to_milliseconds"]
