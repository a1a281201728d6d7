"""Parses times and periods from the API and the commands. Pure.

A time is an ISO instant, or a duration before now. A period is a window that ends now, a range, or a calendar month in
a time zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from jobs.errors import ScheduleError
from jobs.formats import format_iso_instant, parse_duration, parse_instant
from jobs.incidents.suppression.spans import Span
from jobs.problems import make_printable
from jobs.schedules.time_zones import load_time_zone

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


WINDOWS = {"24h": timedelta(days=1), **{f"{days}d": timedelta(days=days) for days in (7, 30, 90, 365)}}
DEFAULT_WINDOW = "24h"
DEFAULT_SPAN = "30d"
ZONE_PATTERN = r"^[A-Za-z][A-Za-z0-9_+/-]{0,59}$"
MONTH_PATTERN = r"^(19[7-9][0-9]|2[01][0-9]{2})-(0[1-9]|1[0-2])$"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

_EARLIEST, _LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2286, 1, 1, tzinfo=UTC)
"""Runs are stored for due instants between these."""
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Period:
    """The instants from `since` (inclusive) to `until` (exclusive), both full hours in UTC."""

    since: datetime
    until: datetime

    @staticmethod
    def covering(since: datetime, until: datetime) -> Period:
        """Return the shortest period of full hours that contains both instants, within the years of stored runs."""
        begin = hour_of(min(max(since, _EARLIEST), _LATEST - HOUR))
        end = hour_of(min(max(until, begin + HOUR), _LATEST))
        return Period(begin, end if end >= until or end == _LATEST else end + HOUR)

    @property
    def before(self) -> Period | None:
        """The period of the same length that ends when this one begins; None if runs are not stored for it."""
        since = self.since - (self.until - self.since) if self.since - _EARLIEST >= self.until - self.since else None
        return None if since is None else Period(since, self.since)

    def split_at_noon(self) -> Iterator[Period]:
        """Yield parts none of which contains a whole day in UTC, so that reads of rollups return hours alone."""
        since = self.since
        while since < self.until:
            noon = since.replace(hour=12) + (DAY if since.hour >= 12 else timedelta())
            yield Period(since, min(noon, self.until))
            since = noon


def parse_zone(name: str | None) -> tzinfo:
    """Return the time zone of this IANA name, UTC without one.

    Raises:
        InvalidTimeRange: it does not exist.
    """
    if name is None:
        return UTC
    try:
        return load_time_zone(name).info
    except ScheduleError as error:
        message, _, hint = make_printable(error.reason, 200).partition("; ")
        raise InvalidTimeRange("timezone", message, hint or "use an IANA name such as Europe/Berlin") from None


def parse_month(month: str, zone: tzinfo) -> TimeRange:
    """Return the instants of a calendar month such as `2026-11` in a time zone, both ends inclusive.

    Raises:
        InvalidTimeRange: it is not a month of the years 1970 to 2199.
    """
    if re.fullmatch(MONTH_PATTERN, month) is None:
        shown = make_printable(repr(month), 60)
        raise InvalidTimeRange(
            "month", f"{shown} is not a month of the years 1970 to 2199", "use a form such as 2026-11"
        )
    year, number = int(month[:4]), int(month[5:])
    first = datetime(year, number, 1, tzinfo=zone)
    following = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=zone)
    return TimeRange(first.astimezone(UTC), following.astimezone(UTC) - _MILLISECOND)


def parse_month_span(month: str, now: datetime) -> Span:
    """Return a calendar month in UTC.

    Raises:
        InvalidTimeRange: it is not a month, or has not started.
    """
    within = parse_month(month, UTC)
    assert within.since is not None, "a month has a beginning"
    if within.since > now:
        raise InvalidTimeRange("month", f"the month {month} has not started", f"choose one until {now:%Y-%m}")
    return Span(within.since, (within.until or within.since) + _MILLISECOND)


def parse_range(since: str | None, until: str | None, month: str | None, zone: tzinfo, now: datetime) -> TimeRange:
    """Return the range from `since` to `until`, or the month.

    Raises:
        InvalidTimeRange: a value is invalid, or a month is given with an end.
    """
    if month is None:
        return parse_time_range(since, until, now)
    if since is not None or until is not None:
        raise InvalidTimeRange("month", "a month cannot be combined with from or to", "omit one of them")
    return parse_month(month, zone)


def parse_period(window: str | None, within: TimeRange, now: datetime, oldest: datetime) -> Period:
    """Return the period of a window of WINDOWS that ends now, or of a range; without both, of DEFAULT_WINDOW.

    A window has its length, and in addition the parts of the hours in which it begins and ends. `oldest`: the beginning
    of a range without one.

    Raises:
        InvalidTimeRange: a window and a range are given.
    """
    if within.is_bounded:
        if window is not None:
            raise InvalidTimeRange("window", "a window cannot be combined with from, to or month", "omit one of them")
        until = now if within.until is None else within.until + _MILLISECOND
        return Period.covering(within.since or oldest, until)
    return Period.covering(now - WINDOWS[window or DEFAULT_WINDOW], now)


def parse_span(window: str | None, within: TimeRange, now: datetime) -> Span:
    """Return the same to the instant, and without both, the last DEFAULT_SPAN. Of a range without a beginning, it is
    that long.

    Raises:
        InvalidTimeRange: a window and a range are given.
    """
    if within.is_bounded and window is not None:
        raise InvalidTimeRange("window", "a window cannot be combined with from, to or month", "omit one of them")
    until = now if within.until is None else within.until + _MILLISECOND
    since = until - WINDOWS[window or DEFAULT_SPAN] if within.since is None else within.since
    return Span(min(since, until), until)


def hour_of(instant: datetime) -> datetime:
    """Return the beginning of the hour in UTC."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
