"""Checks of arguments that several operations have.

Called by scheduler.operations.pauses and scheduler.operations.circuits.
"""

from __future__ import annotations

from datetime import datetime

from jobs.formats.instants import format_instant
from scheduler.errors import InvalidArgument

MAX_REASON_LENGTH = 500
"""Characters."""


def check_reason(reason: str) -> None:
    """Raise InvalidArgument if the reason of a change is too long."""
    if len(reason) > MAX_REASON_LENGTH:
        raise InvalidArgument("reason", f"{len(reason)} characters, but at most {MAX_REASON_LENGTH} are allowed")


def check_end(until: datetime | None, now: datetime) -> None:
    """Raise InvalidArgument if the end of a change has passed."""
    if until is not None and until <= now:
        raise InvalidArgument("until", f"{format_instant(until)} is in the past: it is {format_instant(now)}")
