"""Converts the cron and OnCalendar schedules of Healthchecks. Called by checks. Pure."""

from __future__ import annotations

from typing import Any

from config.importers.sources.healthchecks.on_calendar import convert_on_calendar
from config.importers.values.cron import convert_cron


def convert_schedule(text: str, timezone: str) -> tuple[Any, str]:
    """Return a schedule of a job file, and how it was changed. Raises NotCarriedOver.

    An OnCalendar schedule has lines that begin with a date, a time or the name of a macro without @.
    """
    fields = text.split()
    if "\n" not in text.strip() and (len(fields) in (5, 6) or text.strip().startswith("@")) and not _has_time(fields):
        schedules = convert_cron(text.strip(), timezone)
        how = "the day of month and the day of week are two schedules" if len(schedules) > 1 else ""
    else:
        schedules, how = convert_on_calendar(text, timezone)
    return (schedules[0] if len(schedules) == 1 else schedules), how


def _has_time(fields: list[str]) -> bool:
    return any(":" in field for field in fields)
