"""JSON values: equality, compact text, and validation of values in a definition. Used by the comparisons."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

from pydantic import AfterValidator

_DEEPEST_OPERAND = 64
_MOST_OPERAND_VALUES = 10_000


def is_json_equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 equals 1.0, but true does not equal 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_json_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_json_equal, one, other))
    return bool(one == other)


def to_json_text(value: Any) -> str:
    """Return the value as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _json_value(value: Any) -> Any:
    """Refuse values that JSON cannot express, and cyclic ones (YAML can write both)."""
    open_values = [(value, 0)]
    count = 0
    while open_values:
        one, depth = open_values.pop()
        count += 1
        if depth > _DEEPEST_OPERAND or count > _MOST_OPERAND_VALUES:
            raise ValueError("is too large or nested too deeply")
        open_values.extend((child, depth + 1) for child in _children(one))
    return value


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("has a key that is not a text: write the key in quotes")
        return list(value.values())
    if isinstance(value, list):
        return value
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return []
    raise ValueError(f"{str(value)[:40]} is not a JSON value: write it in quotes to compare with the text")


JsonField = Annotated[Any, AfterValidator(_json_value)]
"""A field of any JSON value."""
