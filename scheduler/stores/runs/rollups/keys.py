"""The keys of rollups in table HISTORY_TABLE. Used by scheduler.stores.runs.rollups.

    hour~{job}~{hour}{.writer}    counts of an hour (2026112503, UTC), as runs finish
    day~{job}~{day}               the sum of a complete day
    hours~{job}~{day}             the hours of a complete day
    total~{job}                   the sum of all complete days, also of those that are deleted
    late~{job}~{.writer}          that a run was counted long after its due instant, see rollups.changed_jobs
    h~{job}~{hour}                of older versions: uptime samples of runs that were deleted by their number

A run counts in the hour of its due instant. All rows are in the partition of the job's runs, so that a run and its
count are one transaction. Where several processes share the store, each has its own rows (`writer`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from scheduler.stores.runs.keys import PREFIX_END

HOUR_PREFIX, DAY_PREFIX, DAY_HOURS_PREFIX, OLD_HOUR_PREFIX = "hour~", "day~", "hours~", "h~"
TOTAL_PREFIX, LATE_PREFIX = "total~", "late~"
STATE_KEY = "rollups"
"""The row with the progress of scheduler.stores.runs.rollups.upkeep in a partition."""
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_DAY_LENGTH, _HOUR_LENGTH = len("20261125"), len("2026112503")


def format_hour(instant: datetime) -> str:
    """Return the hour of a UTC instant as keys have it."""
    return f"{instant.year:04d}{instant.month:02d}{instant.day:02d}{instant.hour:02d}"


def format_day(instant: datetime) -> str:
    return format_hour(instant)[:_DAY_LENGTH]


def parse_hour(hour: str) -> datetime:
    """Parse an hour, or a day as its first hour."""
    return datetime(int(hour[:4]), int(hour[4:6]), int(hour[6:8]), int(hour[8:10] or 0), tzinfo=UTC)


def job_of(key: str) -> str:
    """Return the job of any row of an hour or a day."""
    return key.split("~", 2)[1]


def hour_of(key: str) -> str:
    """Return the hour of an hour's row, or the day of a day's."""
    return key.split("~", 2)[2][:_HOUR_LENGTH]


def last_of_job(prefix: str, job: str) -> str:
    """Return a key after all rows of the job."""
    return f"{prefix}{job}~{PREFIX_END}"
