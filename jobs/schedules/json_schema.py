"""The JSON schema of schedules, which the parsers here read without a model. Used by the fields of schedules."""

from __future__ import annotations

from typing import Any

from jobs.formats import DURATION_PATTERN

Schema = dict[str, Any]


def _mapping(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _one_or_several(*types: str, examples: list[Any], description: str) -> Schema:
    """Return the schema of one value or of a list of them."""
    values = {"type": [*types, "array"], "items": {"type": list(types)}, "minItems": 1}
    return {**values, "examples": examples, "description": description}


def _duration(*examples: str, description: str) -> Schema:
    # Also an app setting, such as %INTERVAL%.
    return {
        "type": "string",
        "pattern": f"{DURATION_PATTERN}|%",
        "examples": list(examples),
        "description": description,
    }


_TIME: Schema = {"type": "string", "examples": ["22:00"]}
_WEEKLY = _mapping(
    **{
        "days": {
            "type": ["string", "array"],
            "items": {"type": "string"},
            "minItems": 1,
            "examples": ["MON-FRI"],
            "description": "days on which it begins; default: each day",
        },
        "from": {**_TIME, "description": "the begin; default: 00:00"},
        "to": {**_TIME, "description": "the end; one before from is on the following day"},
    }
)
EXCLUSIONS_SCHEMA: Schema = {
    "type": "array",
    "maxItems": 100,
    "items": _mapping(
        dates={
            "type": "array",
            "items": {"type": "string", "examples": ["2026-12-24"]},
            "minItems": 1,
            "description": "days such as 2026-12-24",
        },
        weekly={**_WEEKLY, "description": "times of the week"},
        holidays={"type": "string", "description": "a country's code", "examples": ["DE"]},
        subdivision={"type": "string", "description": "a part of that country", "examples": ["BE"]},
    ),
    "examples": [[{"holidays": "DE"}, {"dates": ["2026-12-24"]}]],
}
_MONTHLY = _mapping(
    day=_one_or_several(
        "string",
        "integer",
        examples=["last", "last-weekday", "last-friday", "second-friday", "nearest-weekday-15", 31],
        description="days of the month, by number or position",
    ),
    at=_one_or_several("string", examples=["02:00"], description="times of the day; default: 00:00"),
    months=_one_or_several("string", "integer", examples=["MAR,JUN"], description="default: each month"),
    missing_day={"enum": ["skip", "last"], "description": "policy for months without the day"},
) | {"required": ["day"]}
_DST = _mapping(
    gap={"enum": ["shift", "end", "skip", None], "description": "policy for local times that DST skips"},
    repeat={"enum": ["first", "both", None], "description": "policy for local times that DST repeats"},
)
_SCHEDULE = _mapping(
    **{
        "cron": {"type": "string", "description": "NCRONTAB, five or six fields, or a macro"},
        "every": _duration("10s", "5m", description="an interval"),
        "monthly": {**_MONTHLY, "description": "days of the month that NCRONTAB cannot express, such as the last one"},
        "offset": _duration("30s", description="moves every instant of an interval"),
        "timezone": {"type": "string", "description": "IANA name; UTC if absent", "examples": ["Europe/Berlin"]},
        "dst": {**_DST, "description": "policy for the changes of daylight saving time"},
        "jitter": _duration("20s", description="maximum delay; a job always has the same one"),
        "start": {"type": "string", "description": "ISO 8601"},
        "end": {"type": "string", "description": "ISO 8601; a date alone means the end of that day"},
        "except": {**EXCLUSIONS_SCHEMA, "description": "days and times at which it is not due"},
    }
)
_ONE_SCHEDULE = _SCHEDULE | {"type": ["string", "object"], "examples": ["*/10 * * * * *", "every 5m"]}
SCHEDULE_SCHEMA: Schema = _ONE_SCHEDULE | {
    "type": ["string", "object", "array"],
    "items": _ONE_SCHEDULE,
    "minItems": 1,
    "maxItems": 50,
}
"""A text, a mapping, or a list of these."""
WEEKLY_SCHEMA: Schema = _WEEKLY
