"""Reads the duration of an entry in the forms that writers use. Called by the readers. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_TIME_SPAN = re.compile(r"(?:(\d{1,6})\.)?(\d{1,2}):(\d{2}):(\d{2}(?:\.\d{1,9})?)")
"""`[d.]hh:mm:ss[.fffffff]`, the form of .NET."""
_ISO = re.compile(r"PT(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?")
_WITH_UNIT = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*(ms|milliseconds|s|seconds)")
_LONGEST_FORM = 40
_LARGEST_MS = 1e12

_MILLISECOND_KEYS = ("durationms", "durationmilliseconds", "durationinms", "elapsedms", "elapsedmilliseconds")
_ANY_KEYS = ("duration", "elapsed", "took", "responsetime")


def read_duration_ms(entry: Mapping[str, Any]) -> float | None:
    """Return the milliseconds of an entry whose keys are in lower case; None if it has none in a known form.

    A bare number is milliseconds. A bare number in a text can be seconds as well, and is not read.
    """
    for key in _MILLISECOND_KEYS:
        if (found := _number(entry.get(key))) is not None:
            return found
    for key in _ANY_KEYS:
        value = entry.get(key)
        if (found := parse_duration_ms(value) if isinstance(value, str) else _number(value)) is not None:
            return found
    return None


def parse_duration_ms(text: str) -> float | None:
    """Return the milliseconds of `00:00:23.1`, `PT23.1S`, `250 ms` or `23.1s`; None for any other text."""
    text = text.strip()
    if len(text) > _LONGEST_FORM:
        return None
    if (span := _TIME_SPAN.fullmatch(text)) is not None:
        days, hours, minutes, seconds = span.groups()
        return ((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60_000 + float(seconds) * 1000
    if (iso := _ISO.fullmatch(text)) is not None and any(iso.groups()):
        hours, minutes, seconds = iso.groups()
        return (int(hours or 0) * 60 + int(minutes or 0)) * 60_000 + float(seconds or 0) * 1000
    if (unit := _WITH_UNIT.fullmatch(text.lower())) is not None:
        return float(unit[1]) * (1 if unit[2].startswith("m") else 1000)
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= _LARGEST_MS and math.isfinite(value) else None
