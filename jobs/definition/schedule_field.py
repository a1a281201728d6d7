"""The `schedule` of a job as a field of its model, with its JSON schema."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from jobs.schedules import Schedule, bind_to_job, parse_schedule
from jobs.schedules.json_schema import SCHEDULE_SCHEMA


def _read_schedule(value: Any, info: ValidationInfo) -> Schedule | None:
    return None if value is None else bind_to_job(parse_schedule(value), info.data.get("name", ""))


ScheduleField = Annotated[
    Schedule | None,
    # Plain: the parser alone decides. A check of the protocol's members for each of 10,000 jobs would cost time.
    PlainValidator(_read_schedule),
    PlainSerializer(lambda schedule: schedule and schedule.spec, return_type=Any),
    WithJsonSchema({"anyOf": [SCHEDULE_SCHEMA, {"type": "null"}]}),
]
"""Declared after `name`, from which the jitter follows."""
