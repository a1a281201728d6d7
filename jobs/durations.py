"""Durations such as `500ms`, `10s`, `2m`, `1h30m`: read, written, and as a pydantic field type.

Called by every model with a time in it. Inside the program a duration is a float of seconds.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_EXAMPLES = "write it like 500ms, 10s, 2m or 1h30m"


def parse_duration(value: object) -> float:
    """Read a duration into seconds.

    Raises:
        ValueError: not a text, no unit, an unknown unit; the message says how to write it.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f"{value!r} has no unit: {_EXAMPLES}")
    if not isinstance(value, str):
        raise ValueError(f"a duration is a text: {_EXAMPLES}")
    text = value.strip().lower()
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{value!r} is not a duration: {_EXAMPLES}")
    return float(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


def format_duration(seconds: float) -> str:
    """Write seconds as short as they can be read back: 0.5 -> `500ms`, 90 -> `1m30s`.

    Whole milliseconds are kept, finer fractions are rounded.
    """
    rest = round(seconds * 1000)
    if rest == 0:
        return "0s"
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def _read(value: Any) -> Any:
    # A model built by code hands over seconds as a float; text is what files and the API send.
    return value if type(value) is float else parse_duration(value)


Duration = Annotated[
    float,
    BeforeValidator(_read),
    Field(ge=0.0),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["500ms", "10s", "2m"]}),
]
"""A field of seconds, read from and written as a text with a unit."""
