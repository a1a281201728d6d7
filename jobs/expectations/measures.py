"""Numbers, durations and instants in answers and in the bounds that they are compared with. Used by comparisons.py."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from jobs.formats import DURATION_PATTERN, describe_span, parse_duration
from jobs.model_base import Duration, FrozenModel

_MAX_NUMBER_LENGTH = 100
"""Characters of a number; Python is slow with thousands of digits."""
MAX_NUMBER = 1e300

_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_WITH_BASE = re.compile(r"[+-]?0(?:x[0-9a-f]+|o[0-7]+|b[01]+)", re.ASCII | re.IGNORECASE)


def read_number(value: Any) -> int | float | None:
    """Return a number, or the number in a text: `12`, `-0.5`, `1e3`, `0x1f`. None: not a number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    return _read(value.strip()) if isinstance(value, str) and len(value) <= _MAX_NUMBER_LENGTH else None


def _read(text: str) -> int | float | None:
    if _WITH_BASE.fullmatch(text):
        return int(text, 0)
    if not _DECIMAL.fullmatch(text):
        return None
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return number if math.isfinite(number) else None


def _number_or_duration(value: Any) -> int | float | str:
    """Return a number, or the text of a duration unchanged."""
    number = read_number(value)
    if number is None and read_duration(value) is not None:
        return str(value)
    if number is None or number != number:
        raise ValueError(f"{str(value)[:40]!r} is not a number nor a duration such as 15m")
    if abs(number) > MAX_NUMBER:  # also infinity, and integers beyond the range of a float
        raise ValueError(f"{str(value)[:40]!r} is too large a number: at most {MAX_NUMBER:g}")
    return number


def read_duration(value: Any) -> float | None:
    try:
        return parse_duration(value) if isinstance(value, str) and len(value) <= _MAX_NUMBER_LENGTH else None
    except ValueError:
        return None


NumberField = Annotated[
    Any,
    BeforeValidator(_number_or_duration),
    WithJsonSchema(
        {
            "type": ["number", "string"],
            "maxLength": _MAX_NUMBER_LENGTH,
            "pattern": r"^\s*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
            rf"|0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)\s*$|{DURATION_PATTERN}",
        }
    ),
]
"""A field of a number, of a text that is one, or of a duration, which compares with a number of seconds."""


_MAX_INSTANT = 64
"""Characters of an instant."""
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}.*)?", re.ASCII)
_MILLISECONDS = 1e11
"""Numbers from here on are milliseconds: as seconds they would be after the year 5138."""


def age_seconds(value: Any) -> float | None:
    """Return the seconds since an instant, negative for the future; None: not an instant."""
    instant = read_instant(value)
    return None if instant is None else (datetime.now(UTC) - instant).total_seconds()


def read_instant(value: Any) -> datetime | None:
    """Read ISO 8601, an HTTP date, or Unix time; UTC without an offset."""
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > _MAX_INSTANT:
        return None
    try:
        if (number := read_number(value)) is not None:
            return datetime.fromtimestamp(number / 1000 if abs(number) >= _MILLISECONDS else number, UTC)
        instant = datetime.fromisoformat(text.upper()) if _ISO.fullmatch(text) else parsedate_to_datetime(text)
    except (ValueError, OverflowError, OSError):
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


class ExpiryBounds(FrozenModel):
    """How far in the future an instant is: `{at_least: 30d}`, `{at_least: 30d, at_most: 365d}`."""

    at_least: Annotated[Duration, Field(gt=0)] | None = None
    at_most: Annotated[Duration, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("has no bound: write {at_least: 30d}, with at_most or without")
        return self

    @model_serializer(mode="wrap")
    def _serialize(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: bound for name, bound in write(self).items() if bound is not None}

    def holds(self, value: Any) -> bool:
        age = age_seconds(value)
        if age is None or (self.at_least is not None and -age < self.at_least):
            return False
        return self.at_most is None or -age <= self.at_most

    def measure_excess(self, value: Any) -> float:
        """Return the seconds by which an instant is beyond a bound; negative if it is not, 0 without an instant."""
        age = age_seconds(value)
        if age is None:
            return 0.0
        beyond = (self.at_least and age + self.at_least, self.at_most and -age - self.at_most)
        return max(each for each in beyond if each is not None)

    def __str__(self) -> str:
        return ", ".join(
            phrase.format(describe_span(bound))
            for phrase, bound in (("at least {}", self.at_least), ("at most {}", self.at_most))
            if bound is not None
        )


def describe_expiry(value: Any) -> str:
    """Return `expires in 12 d (2026-12-15 10:00 UTC)`; empty for a value that is not an instant."""
    instant, age = read_instant(value), age_seconds(value)
    if instant is None or age is None:
        return ""
    span = f"expires in {describe_span(-age)}" if age < 0 else f"expired {describe_span(age)} ago"
    try:
        return f"{span} ({instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"
    except OverflowError:  # in UTC it is outside of the years 1 to 9999
        return f"{span} ({instant.isoformat(' ', 'minutes')})"
