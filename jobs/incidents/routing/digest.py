"""When what can wait is sent: once a day, or by a schedule. Pure. Used by jobs.incidents.routing.routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from jobs.fast_frozen import fast_frozen
from jobs.schedules.exclusions import DAY_SECONDS, read_time_of_day
from jobs.schedules.json_schema import SCHEDULE_SCHEMA
from jobs.schedules.parsing import parse_schedule
from jobs.schedules.protocol import Schedule


@fast_frozen(frozen=True, slots=True)
class Digest:
    """`schedule`: when the messages since the last time are sent as one. `spec`: its form in a job file."""

    schedule: Schedule
    spec: Any

    def next_after(self, now: datetime) -> datetime | None:
        """Return when what happens now is sent; None if the schedule is never due again."""
        return self.schedule.next_after(now)


def read_digest(value: object) -> Digest:
    """Parse `08:00 Europe/Berlin`, `08:00` (UTC), or a schedule that is a mapping. Raises ScheduleError."""
    if isinstance(value, Digest):
        return value
    if not isinstance(value, str):
        return Digest(parse_schedule(value), value)
    time, _, zone = value.strip().partition(" ")
    second = read_time_of_day(time, "digest") % DAY_SECONDS
    cron = f"{second % 60} {second // 60 % 60} {second // 3600} * * *"
    schedule = parse_schedule({"cron": cron, **({"timezone": zone.strip()} if zone else {})})
    return Digest(schedule, value)


DigestField = Annotated[
    Digest,
    PlainValidator(read_digest),
    PlainSerializer(lambda digest: digest.spec, return_type=Any),
    WithJsonSchema({**SCHEDULE_SCHEMA, "examples": ["08:00 Europe/Berlin"]}),
]
