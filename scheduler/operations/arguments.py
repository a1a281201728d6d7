"""Checks of arguments that several operations have, such as a reason or an end."""

from __future__ import annotations

from datetime import datetime, timedelta

from jobs.formats import format_instant
from jobs.model_base import refuse_control_characters
from scheduler.errors import InvalidArgument
from scheduler.model_base import MAX_REASON_LENGTH


def check_reason(reason: str) -> None:
    """Raise InvalidArgument if the reason of a change is too long, or has a control or direction character."""
    if len(reason) > MAX_REASON_LENGTH:
        raise InvalidArgument("reason", f"{len(reason)} characters, but at most {MAX_REASON_LENGTH} are allowed")
    try:
        refuse_control_characters(reason)
    except ValueError as error:
        raise InvalidArgument("reason", str(error)) from None


def check_end(until: datetime | None, now: datetime) -> None:
    """Raise InvalidArgument if the end of a change has passed."""
    if until is not None and until <= now:
        raise InvalidArgument("until", f"{format_instant(until)} is in the past: it is {format_instant(now)}")


def find_end(field: str, end: datetime | None, seconds: float | None, start: datetime) -> datetime:
    """Return the end, given as an instant in the argument `field`, or as the seconds after `start` in `for`.

    Raises InvalidArgument: neither or both are given, or the end cannot be represented.
    """
    if (end is None) == (seconds is None):
        found = "neither is given" if end is None else "both are given"
        raise InvalidArgument(field, f"one of {field} and for is required, but {found}")
    if end is not None:
        return end
    try:
        return start + timedelta(seconds=seconds or 0)
    except OverflowError:
        raise InvalidArgument("for", "the end would be after the year 9999: write a shorter time") from None
