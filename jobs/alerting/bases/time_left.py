"""Describes when something expires. Used by conditions about certificates and secrets."""

from __future__ import annotations

from datetime import datetime

from jobs.formats.durations import describe_span
from jobs.formats.instants import format_instant


def describe_expiry(expires_at: datetime, now: datetime) -> str:
    """Return for example `expires in 13 d 4 h, at 2026-03-01 12:00:00Z`."""
    left = (expires_at - now).total_seconds()
    if left > 0:
        return f"expires in {describe_span(left)}, at {format_instant(expires_at)}"
    return f"expired {describe_span(-left)} ago, at {format_instant(expires_at)}"
