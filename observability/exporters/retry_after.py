"""How long a destination requires to wait. Used by the clients of the exporters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from jobs.formats.retry_after import parse_wait


def read_required_wait(headers: Mapping[str, str], *names: str) -> float | None:
    """Return the seconds of the first of these headers, or of Retry-After; None: not given, or invalid.

    Destinations also send fractions. `headers`: names in any case.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    text = next((lower[name] for name in (*names, "retry-after") if lower.get(name)), "")
    try:
        seconds = float(text)
    except ValueError:
        return parse_wait(lower | {"retry-after": text}, datetime.now(UTC))
    return max(0.0, seconds) if math.isfinite(seconds) else None
