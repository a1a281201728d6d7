"""Parse the header Retry-After of a response (RFC 9110, section 10.2.3). Pure.

Called by jobs.checks.kinds.http, jobs.notifications.channels.http_posting and the clients of exporters and generators.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MAX_WAIT = 365 * 86400.0


def parse_retry_after(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds to wait, never negative; None if the response has no valid value.

    A date is compared with the response's own Date: that clock may be wrong, but both come from it. `now` (aware) is
    for responses without one.
    """
    return None if status < 300 else parse_wait(headers, now)


def parse_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the same for a response of any status."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), _MAX_WAIT)
    until = _parse_date(text)
    if until is None:
        return None
    since = _parse_date(headers.get("date", "")) or now
    return min(max((until - since).total_seconds(), 0.0), _MAX_WAIT)


def _parse_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year of twenty digits
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
