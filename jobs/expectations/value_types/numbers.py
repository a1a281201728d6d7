"""Reads numbers of answers and definitions, also from texts. Used by comparisons.py and instants.py. Pure."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_LONGEST_NUMBER = 100
"""Characters of a number; Python is slow with thousands of digits."""
_LARGEST_NUMBER = 1e300

_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_WITH_BASE = re.compile(r"[+-]?0(?:x[0-9a-f]+|o[0-7]+|b[01]+)", re.ASCII | re.IGNORECASE)


def read_number(value: Any) -> int | float | None:
    """Return a number, or the number in a text: `12`, `-0.5`, `1e3`, `0x1f`. None: not a number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    return _read(value.strip()) if isinstance(value, str) and len(value) <= _LONGEST_NUMBER else None


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
    if abs(number) > _LARGEST_NUMBER:  # also infinity, and integers beyond the range of a float
        raise ValueError(f"{str(value)[:40]!r} is too large a number: at most {_LARGEST_NUMBER:g}")
    return number


NumberField = Annotated[
    Any,
    BeforeValidator(_number),
    WithJsonSchema(
        {
            "type": ["number", "string"],
            "maxLength": _LONGEST_NUMBER,
            "pattern": r"^\s*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
            r"|0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)\s*$",
        }
    ),
]
"""A field of a number, or of a text that is one."""
