"""How long a destination requires to wait. Used by the clients of the exporters."""

from __future__ import annotations

import email.utils
import time


def parse_retry_after(text: str | None) -> float | None:
    """Return the seconds of a header: a number, or an HTTP date. None: not given, or invalid."""
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
