"""Reads instants of answers and computes their age. Used by comparisons.py."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from jobs.expectations.value_types.numbers import read_number

_LONGEST_INSTANT = 64
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
    if len(text) > _LONGEST_INSTANT:
        return None
    try:
        if (number := read_number(value)) is not None:
            return datetime.fromtimestamp(number / 1000 if abs(number) >= _MILLISECONDS else number, UTC)
        instant = datetime.fromisoformat(text.upper()) if _ISO.fullmatch(text) else parsedate_to_datetime(text)
    except (ValueError, OverflowError, OSError):
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
