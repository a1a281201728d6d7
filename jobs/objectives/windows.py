"""The window of an objective: a number of days up to now, or the calendar month in UTC. Pure.

Used by jobs.definition.objectives and scheduler.queries.objectives.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

ObjectiveWindow = Literal["7d", "28d", "30d", "90d", "month"]
MONTH_WINDOW = "month"


def find_window_begin(window: str, now: datetime) -> datetime:
    """Return the instant at which the window that contains `now` began."""
    if window == MONTH_WINDOW:
        return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return now - _length_of(window)


def find_window_end(window: str, now: datetime) -> datetime:
    """Return when the budget ends: `now` for a rolling window, the end of the month for `month`."""
    if window != MONTH_WINDOW:
        return now
    return (find_window_begin(window, now) + timedelta(days=32)).replace(day=1)


def describe_window(window: str) -> str:
    """Return for example `the last 30 days`."""
    return "this month" if window == MONTH_WINDOW else f"the last {window.removesuffix('d')} days"


def _length_of(window: str) -> timedelta:
    return timedelta(days=int(window.removesuffix("d")))
