"""How many bad samples open an alert: `3 of 5`, or 3 in a row. Used by jobs.alerting.rule."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from jobs.fast_frozen import fast_frozen

LARGEST_WINDOW = 100
"""Samples. They are bits of an integer that is held for each job."""
_TEXT = re.compile(r"(\d{1,3})(?: of (\d{1,3}))?")
_FORM = "write a number of consecutive runs, such as 3, or 3 of 5"


@fast_frozen(frozen=True, slots=True)
class Threshold:
    """At least `count` of the last `window` samples. Equal numbers mean consecutive samples."""

    count: int
    window: int

    @property
    def is_consecutive(self) -> bool:
        return self.count == self.window

    def is_reached(self, bits: int) -> bool:
        """Return whether enough of the last samples count. `bits`: one a sample that counts, the newest lowest."""
        return (bits & ((1 << self.window) - 1)).bit_count() >= self.count

    def __str__(self) -> str:
        return str(self.count) if self.is_consecutive else f"{self.count} of {self.window}"


def parse_threshold(value: object) -> Threshold:
    """Parse `3`, `"3"` or `"3 of 5"`. Raises ValueError."""
    if isinstance(value, Threshold):
        return value
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{value!r} is not a threshold: {_FORM}")
    count = int(found[1])
    window = int(found[2] or count)
    if not 1 <= count <= window <= LARGEST_WINDOW:
        raise ValueError(f"{value!r}: expected 1 to {LARGEST_WINDOW} runs, and not more than the runs that they are of")
    return Threshold(count, window)


def _read(value: Any) -> Threshold:
    return parse_threshold(value)


def _written(value: Threshold) -> int | str:
    return value.count if value.is_consecutive else str(value)


ThresholdField = Annotated[
    Threshold,
    PlainValidator(_read),
    PlainSerializer(_written, return_type=int | str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": LARGEST_WINDOW},
                {"type": "string", "pattern": r"^\s*\d{1,3}( of \d{1,3})?\s*$", "examples": ["3 of 5"]},
            ]
        }
    ),
]


@fast_frozen(frozen=True, slots=True)
class Thresholds:
    """When a rule about samples opens and closes its alert.

    `close_after`: good samples in a row; None: the threshold is not reached and the latest sample is good.
    """

    open_after: Threshold = Threshold(1, 1)
    close_after: int | None = None
