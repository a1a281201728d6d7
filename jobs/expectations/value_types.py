"""Types of the values in entries, how they are read and compared: numbers, instants and their age, counts."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from operator import eq, ge, gt, le, lt
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from jobs.model_base import FrozenModel


class CountBounds(FrozenModel):
    """One number, `3`, or bounds that must all hold: `{at_least: 1, below: 10}`."""

    equals: int | None = Field(default=None, ge=0)
    below: int | None = Field(default=None, ge=0)
    above: int | None = Field(default=None, ge=0)
    at_least: int | None = Field(default=None, ge=0)
    at_most: int | None = Field(default=None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _read_number(cls, value: Any) -> Any:
        return {"equals": value} if isinstance(value, int) and not isinstance(value, bool) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "integer", "minimum": 0}, handler(core_schema)]}

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if not self._bounds():
            raise ValueError("has no bound: write a number, or one of " + ", ".join(type(self).model_fields))
        return self

    @model_serializer(mode="wrap")
    def _serialize(self, write: SerializerFunctionWrapHandler) -> Any:
        bounds = {key: value for key, value in write(self).items() if value is not None}
        return bounds["equals"] if bounds.keys() == {"equals"} else bounds

    def holds(self, number: int) -> bool:
        return all(_PREDICATES[name](number, bound) for name, bound in self._bounds())

    def __str__(self) -> str:
        return ", ".join(BOUND_PHRASES.get(name, "{}").format(bound) for name, bound in self._bounds())

    def _bounds(self) -> list[tuple[str, int]]:
        return [(name, bound) for name in _PREDICATES if (bound := getattr(self, name)) is not None]


_PREDICATES = {"equals": eq, "below": lt, "above": gt, "at_least": ge, "at_most": le}
BOUND_PHRASES = {
    "below": "less than {}",
    "above": "more than {}",
    "at_least": "at least {}",
    "at_most": "at most {}",
}
"""How a failure describes a bound."""


_MAX_NUMBER_LENGTH = 100
"""Characters of a number; Python is slow with thousands of digits."""
_MAX_NUMBER = 1e300

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


def _number(value: Any) -> int | float:
    number = read_number(value)
    if number is None or number != number:
        raise ValueError(f"{str(value)[:40]!r} is not a number")
    if abs(number) > _MAX_NUMBER:  # also infinity, and integers beyond the range of a float
        raise ValueError(f"{str(value)[:40]!r} is too large a number: at most {_MAX_NUMBER:g}")
    return number


NumberField = Annotated[
    Any,
    BeforeValidator(_number),
    WithJsonSchema(
        {
            "type": ["number", "string"],
            "maxLength": _MAX_NUMBER_LENGTH,
            "pattern": r"^\s*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
            r"|0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)\s*$",
        }
    ),
]
"""A field of a number, or of a text that is one."""


_MAX_INSTANT = 64
"""Characters of an instant."""
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}.*)?", re.ASCII)
_MILLISECONDS = 1e11
"""Numbers from here on are milliseconds: as seconds they would be after the year 5138."""


def age_seconds(value: Any) -> float | None:
    """Return the seconds since an instant, negative for the future; None: not an instant."""
    instant = _read_instant(value)
    return None if instant is None else (datetime.now(UTC) - instant).total_seconds()


def _read_instant(value: Any) -> datetime | None:
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
