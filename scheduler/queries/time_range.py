"""Parses time ranges given to the API and the commands: ISO instants, or a duration before now. Pure.

Called by scheduler.api and scheduler.cli.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.formats.durations import parse_duration
from jobs.formats.instants import format_iso_instant, parse_instant
from jobs.problems import make_printable

TIME_FORMS = "use an instant such as 2026-11-25T01:50:30Z, or a duration before now such as 24h"

_LOST_PLUS = re.compile(r"(.+\d) (\d\d:?\d\d)")
"""`2026-11-25T01:50:30 01:00`: a plus sign in a query that is not encoded as %2B arrives as a space."""


class InvalidTimeRange(ValueError):
    """An end of the range is invalid. `end` is `from` or `to`."""

    def __init__(self, end: str, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.end = end
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A range of aware UTC datetimes, both ends inclusive; None for an open end."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_bounded(self) -> bool:
        return self.since is not None or self.until is not None

    def __str__(self) -> str:
        """`from 2026-11-25T01:00:00Z to 2026-11-25T02:00:00Z`, `up to ...`; empty without ends."""
        since = "" if self.since is None else f"from {_format_instant(self.since)}"
        if self.until is None:
            return since
        return f"{since} to {_format_instant(self.until)}" if since else f"up to {_format_instant(self.until)}"


ANY_TIME = TimeRange()


def parse_time_range(since: str | None, until: str | None, now: datetime) -> TimeRange:
    """Parse the range from `since` to `until`.

    Each is an ISO 8601 instant (UTC without an offset), or a duration before `now` such as `24h`.

    Raises:
        InvalidTimeRange: an end is neither, or `since` is not before `until`.
    """
    interval = TimeRange(_parse_end("from", since, now), _parse_end("to", until, now))
    if interval.since is not None and interval.until is not None and interval.since >= interval.until:
        message = (
            f"{_format_instant(interval.since)} is not before the end of the range, {_format_instant(interval.until)}"
        )
        raise InvalidTimeRange("from", message, "swap them, or change one")
    return interval


def _parse_end(end: str, text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    try:
        return _parse_ago(text, now) if _is_duration(text) else _parse_instant(text)
    except (ValueError, OverflowError):
        raise InvalidTimeRange(
            end, f"{make_printable(repr(text), 60)} is neither an instant nor a duration", TIME_FORMS
        ) from None


def _is_duration(text: str) -> bool:
    return text.strip()[-1:].isalpha() and "T" not in text and ":" not in text


def _parse_ago(text: str, now: datetime) -> datetime:
    return now - timedelta(seconds=parse_duration(text))


def _parse_instant(text: str) -> datetime:
    found = _LOST_PLUS.fullmatch(text.strip())
    return parse_instant(f"{found[1]}+{found[2]}" if found and "T" in found[1] else text)


def _format_instant(instant: datetime) -> str:
    return format_iso_instant(instant, precise=instant.microsecond > 0)
