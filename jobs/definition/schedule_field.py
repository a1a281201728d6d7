"""The `schedule` of a job as a field of its model, with its JSON schema."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from jobs.schedules import Schedule, bind_to_job, parse_schedule


def _read_schedule(value: Any, info: ValidationInfo) -> Schedule | None:
    return None if value is None else bind_to_job(parse_schedule(value), info.data.get("name", ""))


_WINDOW = {"days": {"type": "string"}, "from": {"type": "string"}, "to": {"type": "string"}}
_EXCLUSION = {
    "dates": {"type": "array", "items": {"type": "string", "format": "date"}},
    "weekly": {"type": "object", "properties": _WINDOW, "additionalProperties": False},
    "holidays": {"type": "string", "description": "a country's code", "examples": ["DE"]},
    "subdivision": {"type": "string", "description": "a part of that country", "examples": ["BE"]},
}
_MONTHLY = {
    "type": "object",
    "properties": {
        "day": {
            "anyOf": [
                {"type": ["string", "integer"]},
                {"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 1},
            ],
            "examples": ["last", "last-weekday", "last-friday", "second-friday", "nearest-weekday-15", 31],
        },
        "at": {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            "examples": ["02:00"],
        },
        "months": {
            "anyOf": [
                {"type": ["string", "integer"]},
                {"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 1},
            ],
            "examples": ["MAR,JUN"],
        },
        "missing_day": {"enum": ["skip", "last"], "description": "policy for months without the day"},
    },
    "required": ["day"],
    "additionalProperties": False,
}
_SCHEDULE_KEYS = {
    "cron": {"type": "string"},
    "every": {"type": "string", "examples": ["10s", "5m"]},
    "monthly": _MONTHLY,
    "offset": {"type": "string", "description": "moves every instant of an interval", "examples": ["30s"]},
    "timezone": {"type": "string", "description": "IANA name; UTC if absent", "examples": ["Europe/Berlin"]},
    "dst": {
        "type": "object",
        "properties": {
            "gap": {"enum": ["shift", "end", "skip"], "description": "policy for local times that DST skips"},
            "repeat": {"enum": ["first", "both"], "description": "policy for local times that DST repeats"},
        },
        "additionalProperties": False,
    },
    "jitter": {"type": "string", "description": "maximum delay; a job always has the same one", "examples": ["20s"]},
    "start": {"type": "string", "description": "ISO 8601"},
    "end": {"type": "string", "description": "ISO 8601; a date alone means the end of that day"},
    "except": {
        "type": "array",
        "items": {"type": "object", "properties": _EXCLUSION, "additionalProperties": False},
    },
}
_ONE_SCHEDULE = [
    {"type": "string", "description": "NCRONTAB, five or six fields, or a macro", "examples": ["*/10 * * * * *"]},
    {"type": "object", "properties": _SCHEDULE_KEYS, "additionalProperties": False},
]

ScheduleField = Annotated[
    Schedule | None,
    # Plain: the parser alone decides. A check of the protocol's members for each of 10,000 jobs would cost time.
    PlainValidator(_read_schedule),
    PlainSerializer(lambda schedule: schedule and schedule.spec, return_type=Any),
    WithJsonSchema({"anyOf": [*_ONE_SCHEDULE, {"type": "array", "items": {"anyOf": _ONE_SCHEDULE}}, {"type": "null"}]}),
]
"""Declared after `name`, from which the jitter follows."""
