"""Formats spans, instants and counts for the dashboard, and describes the history of a job for screen readers. Pure.

Instants are shown in the time zone of `now`.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from html import unescape
from math import floor
from typing import Final

from jobs import formats
from jobs.formats import describe_distance, describe_milliseconds
from scheduler.features.overview.timelines import JobTimeline, TimeWindow

NOTHING = "\N{EN DASH}"
"""Placeholder for a missing value in a table."""


def format_count(number: int, singular: str, plural: str = "") -> str:
    """Format as `1 job`, `5,000 jobs`."""
    return f"{number:,} {formats.format_count(number, singular, plural).partition(' ')[2]}"


def units(text: str) -> str:
    """Separate numbers from their units, which files and commands write without a space: `24 h`, `99.6 %`."""
    return re.sub(r"(?<=\d)(?=%|[dhms]\b)", " ", text)


def when(instant: datetime, now: datetime) -> str:
    """Format an instant relative to now: `now`, `in 12 s`, `3 h 5 min ago`."""
    return describe_distance((instant - now).total_seconds())


def clock_time(instant: datetime, now: datetime) -> str:
    """Format an instant as `12:00:05`, with the date if it is another day."""
    instant = instant.astimezone(now.tzinfo)
    return f"{instant:%H:%M:%S}" if instant.date() == now.date() else f"{instant:%Y-%m-%d %H:%M:%S}"


def milliseconds(value: float | None) -> str:
    """Format a measured time: `0.4 ms`, `431 ms`, `12.3 s`."""
    return NOTHING if value is None else describe_milliseconds(value)


def exact(instant: datetime, now: datetime) -> str:
    """Format an instant as `2026-11-25 12:00:05.250 UTC`."""
    instant = instant.astimezone(now.tzinfo)
    return f"{instant:%Y-%m-%d %H:%M:%S}.{instant.microsecond // 1000:03} {instant.tzname()}"


def date_and_time(instant: datetime, now: datetime) -> str:
    """Format an instant as `2026-11-25 12:00:05 UTC`."""
    instant = instant.astimezone(now.tzinfo)
    return f"{instant:%Y-%m-%d %H:%M:%S} {instant.tzname()}"


MORNING: Final = time(9)


def next_morning(now: datetime) -> datetime:
    """Return the next 09:00 of the time zone of `now`."""
    days = 0 if now.time() < MORNING else 1
    return datetime.combine(now.date() + timedelta(days=days), MORNING, now.tzinfo)


def percent(ratio: float) -> str:
    """Format a ratio, rounded down so that only 1 becomes 100 %: `99.997 %`."""
    return f"{floor(ratio * 100_000 + 1e-6) / 1000:.3f}".rstrip("0").rstrip(".") + " %"


_FOR_PROGRAMS: Final = re.compile(
    r"\b(GET|POST|PUT|PATCH|DELETE) /|Authorization|[Bb]earer|If-(None-)?Match|http\.entra"
)
_SENTENCE_END: Final = re.compile(r"(?<=[.?!]) (?=[A-Z])")


def for_people(detail: str) -> str:
    """Return the detail of a problem without the sentences for programs, which name routes and headers."""
    return " ".join(each for each in _SENTENCE_END.split(detail) if not _FOR_PROGRAMS.search(each))


_TAGS: Final = re.compile(r"<(?:!doctype|!--|\?xml|/?[a-z][a-z0-9]*(?=[\s/>]))[^<>]*>?", re.IGNORECASE)
_BLOCKS: Final = re.compile(r"<(script|style|head)\b.*?(</\1\s*>|$)", re.IGNORECASE | re.DOTALL)
MAX_TARGET_TEXT: Final = 120
"""Characters of HTML that a target has sent, from its first tag on."""


def without_html(text: str) -> str:
    """Return a message without the HTML of a target: of that its text, shortened."""
    first = _TAGS.search(text)
    if first is None:
        return text
    plain = " ".join(unescape(_TAGS.sub(" ", _BLOCKS.sub(" ", text[first.start() :]))).split())
    return f"{text[: first.start()]}{plain[:MAX_TARGET_TEXT]}{'…' if len(plain) > MAX_TARGET_TEXT else ''}".strip()


def words(name: str) -> str:
    """Format an outcome or an error class: `timed out`."""
    return name.replace("_", " ")


def parts(name: str) -> list[str]:
    """Split a name where a line can break: after a dot, hyphen or underscore, before a capital."""
    return re.split(r"(?<=[._-])|(?<=[a-z])(?=[A-Z])", name)


def offset_text(seconds: int) -> str:
    """Format a shift of the clock: `+1 h`, `-30 min`."""
    hours, minutes = divmod(abs(seconds) // 60, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return f"{'-' if seconds < 0 else '+'}{' '.join(filter(None, parts))}"


_WINDOW_TEXTS: Final = {
    TimeWindow.HOURS_1: "1 h",
    TimeWindow.HOURS_3: "3 h",
    TimeWindow.HOURS_24: "24 h",
    TimeWindow.DAYS_7: "7 d",
    TimeWindow.DAYS_90: "90 d",
}


def window_text(window: TimeWindow) -> str:
    """Format as `24 h`."""
    return _WINDOW_TEXTS[window]


def timeline_text(timeline: JobTimeline, now: datetime) -> str:
    """Format as `24 h: 99.8 % succeeded, 2 failures, last 03:12:00`."""
    rate, window = timeline.success_rate, timeline.window
    text = window_text(window)
    if rate is None:
        others = ((timeline.total.unknown, "unknown run"), (timeline.total.other, "skipped run"))
        return f"{text}: {', '.join(format_count(count, what) for count, what in others if count) or 'no run'}"
    parts = [f"{percent(rate)} succeeded"]
    if timeline.total.down:
        parts.append(format_count(timeline.total.down, "failure"))
    if timeline.failed_at is not None:
        before = "last" if timeline.is_exact else "last on" if window is TimeWindow.DAYS_90 else "last in the hour of"
        parts.append(f"{before} {_format_failure(timeline, window, now)}")
    if timeline.total.degraded:
        parts.append(f"{timeline.total.degraded} degraded")
    if timeline.total.unknown:
        parts.append(f"{timeline.total.unknown} unknown")
    return f"{text}: {', '.join(parts)}"


def _format_failure(timeline: JobTimeline, window: TimeWindow, now: datetime) -> str:
    assert timeline.failed_at is not None
    if not timeline.is_exact and window is TimeWindow.DAYS_90:
        return f"{timeline.failed_at:%Y-%m-%d}"
    return clock_time(timeline.failed_at, now)
