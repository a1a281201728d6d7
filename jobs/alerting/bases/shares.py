"""A share as a field of a condition: `95%`. In code it is a fraction from 0 to 1."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

_TEXT = re.compile(r"(\d{1,3}(?:\.\d{1,4})?) ?%")


def parse_share(value: object) -> float:
    """Parse `95%`, or a float from 0 to 1 in code. Raises ValueError."""
    if type(value) is float and 0 <= value <= 1:
        return value
    found = _TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        meant = f"write {value:g}%" if type(value) in (int, float) and 0 < value <= 100 else "write it like 95%"  # type: ignore[operator]
        raise ValueError(f"{value!r} is not a share: {meant}")
    share = float(found[1]) / 100
    if share > 1:
        raise ValueError(f"{value!r} is more than 100%")
    return share


def format_share(share: float) -> str:
    """Format with at most two decimals: `95%`, `99.95%`."""
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + "%"


def _read(value: Any) -> float:
    return parse_share(value)


def _write(share: float) -> str:
    return f"{share * 100:.4f}".rstrip("0").rstrip(".") + "%"


ShareField = Annotated[
    float,
    PlainValidator(_read),
    PlainSerializer(_write, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\s*\d{1,3}(\.\d{1,4})? ?%\s*$", "examples": ["95%"]},
                {"type": "number", "minimum": 0, "maximum": 1},
            ]
        }
    ),
]
