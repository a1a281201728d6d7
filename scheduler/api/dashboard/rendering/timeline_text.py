"""Describes the history of a job for screen readers. Pure.

Used by scheduler.api.dashboard.rendering.templates.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from jobs.formats.counts import format_count
from scheduler.api.dashboard.rendering.formatting import clock_time, percent
from scheduler.features.overview.timelines import JobTimeline, TimeWindow

_TEXTS: Final = {
    TimeWindow.HOURS_1: "1 h",
    TimeWindow.HOURS_3: "3 h",
    TimeWindow.HOURS_24: "24 h",
    TimeWindow.DAYS_7: "7 d",
    TimeWindow.DAYS_90: "90 d",
}


def window_text(window: TimeWindow) -> str:
    """Format as `24 h`."""
    return _TEXTS[window]


def timeline_text(timeline: JobTimeline, now: datetime) -> str:
    """Format as `24 h: 99.8 % succeeded, 2 failures, last 03:12:00`."""
    rate, window = timeline.success_rate, timeline.window
    text = window_text(window)
    if rate is None:
        return (
            f"{text}: no run"
            if not timeline.total.other
            else f"{text}: {format_count(timeline.total.other, 'skipped run')}"
        )
    parts = [f"{percent(rate)} succeeded"]
    if timeline.total.down:
        parts.append(format_count(timeline.total.down, "failure"))
    if timeline.failed_at is not None:
        before = "last" if timeline.is_exact else "last on" if window is TimeWindow.DAYS_90 else "last in the hour of"
        parts.append(f"{before} {_format(timeline, window, now)}")
    if timeline.total.degraded:
        parts.append(f"{timeline.total.degraded} degraded")
    return f"{text}: {', '.join(parts)}"


def _format(timeline: JobTimeline, window: TimeWindow, now: datetime) -> str:
    assert timeline.failed_at is not None
    if not timeline.is_exact and window is TimeWindow.DAYS_90:
        return f"{timeline.failed_at:%Y-%m-%d}"
    return clock_time(timeline.failed_at, now)
