"""The target of an objective as a field: `99.9` or `99.9%`. In code it is a float of percent.

Used by jobs.definition.objectives.objective and jobs.alerting.conditions.burn_rate.
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema


def _read_target(value: object) -> float:
    text = value.strip().removesuffix("%").strip() if isinstance(value, str) else value
    try:
        if isinstance(text, bool) or not isinstance(text, (str, int, float)):
            raise ValueError
        target = float(text)
    except ValueError:
        raise ValueError(f"{str(value)[:40]!r} is not a percentage: write 99.9 for 99.9%") from None
    if math.isclose(target, 100) or target > 100:
        raise ValueError(f"{target:g} leaves no error budget: the largest target is 99.999")
    if not target >= 50:
        meant = f"write {target * 100:g}" if 0.5 <= target < 1 else "the smallest target is 50"
        raise ValueError(f"{target:g} percent is too small for a target: {meant}")
    if target > 99.999:
        raise ValueError(f"{target:.8g} is too large: the largest target is 99.999")
    return target


TargetField = Annotated[
    float,
    BeforeValidator(_read_target),
    Field(description="percent of runs or of time that must be good, such as 99.9"),
    WithJsonSchema(
        {
            "type": ["number", "string"],
            "minimum": 50,
            "maximum": 99.999,
            "pattern": r"^\s*[+-]?[0-9_.]+([eE][+-]?[0-9]+)?\s*%?\s*$",
            "examples": [99.9],
        }
    ),
]
