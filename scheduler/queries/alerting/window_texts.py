"""Describes maintenance windows in words, and previews one that a user drafts. Pure.

Used by the page of maintenance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from pydantic import ValidationError

from jobs.formats.durations import format_duration
from jobs.formats.instants import format_iso_instant
from jobs.incidents.suppression.periods import PeriodDefinition
from jobs.incidents.suppression.spans import Span
from jobs.incidents.suppression.windows import MaintenanceWindow, SubjectSelector
from jobs.model_base import FILE_CONTEXT
from jobs.problems import validation_problems
from jobs.schedules.explanations import explain_schedule

MAX_PREVIEWED = 5
"""Periods of a draft."""
_TIME_KEYS = ("from", "schedule", "weekly", "calendar")
_DRAFT_NAME = "draft"


@dataclass(frozen=True, slots=True)
class WindowPreview:
    """`window`: None if the draft is invalid; then `problems` are sentences about it. `spans`: its next periods."""

    window: MaintenanceWindow | None = None
    problems: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()


def preview_window(definition: Mapping[str, Any], now: datetime) -> WindowPreview:
    """Return what a window with the keys of job files would be. Without a time it begins now."""
    given = {"name": _DRAFT_NAME, **definition}
    if not any(key in given for key in _TIME_KEYS):
        given["from"] = format_iso_instant(now, precise=True)
    try:
        window = MaintenanceWindow.model_validate(given, context=FILE_CONTEXT)
    except ValidationError as error:
        return WindowPreview(problems=tuple(str(each) for each in validation_problems(error, MaintenanceWindow)))
    spans = tuple(islice(window.periods.spans_from(now), MAX_PREVIEWED))
    problems = () if spans else ("the window has no time after now: write a later one",)
    return WindowPreview(window, problems, spans)


def describe_recurrence(period: PeriodDefinition) -> str:
    """Return when it recurs, such as `Sundays at 02:00 Europe/Berlin, for 3h`; empty for a single period."""
    length = f", for {format_duration(period.for_)}" if period.for_ else ""
    if period.schedule is not None:
        return f"{explain_schedule(period.schedule)}{length}"
    if period.weekly is not None:
        spec = dict(period.weekly.spec)
        days = f"{spec['days']} " if "days" in spec else ""
        end = f" to {spec['to']}" if "to" in spec else ""
        return f"each week {days}{spec['from']}{end}{length} ({period.zone.name})"
    return f"whole days of a calendar ({period.zone.name})" if period.calendar is not None else ""


def describe_selector(select: SubjectSelector) -> str:
    """Return its conditions, such as `jobs checkout-*, tags team: payments, severities down`."""
    severities = f"severities {' or '.join(select.severities)}" if select.severities else ""
    others = "" if severities and not (select.jobs or select.tags or select.kinds) else str(select)
    return ", ".join(filter(None, (others, severities)))
