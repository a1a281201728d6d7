"""Reads drafts: their definition, and their schedule in words. Called by scheduler.api.dashboard.editing.

Nothing here validates a definition: see scheduler.features.jobs.definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from jobs.errors import ScheduleError
from scheduler.catalog.written_jobs import (
    InvalidJson,
    InvalidYaml,
    find_written_name,
    parse_definition_json,
    parse_definition_yaml,
)
from scheduler.features.jobs.queries import next_due_instants

if TYPE_CHECKING:
    from jobs.schedules import Schedule

MAX_UPCOMING: Final = 10
"""Due instants of a draft."""


@dataclass(frozen=True, slots=True)
class DraftProblem:
    """Why a text cannot be read. `line`: from 1."""

    message: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class SchedulePreview:
    """`english`: the schedule in words. `zone`: name of its time zone. `problem`: why it cannot be read."""

    english: str = ""
    zone: str = "UTC"
    instants: tuple[tuple[datetime, str], ...] = ()
    """Due instants in UTC, each with its text in local time."""
    problem: str = ""


def parse_draft(content: bytes, *, is_json: bool) -> Mapping[str, Any] | DraftProblem:
    """Return the definition of a text."""
    try:
        value = parse_definition_json(content) if is_json else parse_definition_yaml(content)
    except InvalidJson as error:
        return DraftProblem(str(error))
    except InvalidYaml as error:
        return DraftProblem(str(error), error.line)
    if not isinstance(value, dict):
        return DraftProblem("The text is not one job: write name, schedule and check")
    return value


def preview_schedule(definition: Mapping[str, Any], now: datetime) -> SchedulePreview:
    """Return the schedule of a draft in words, with its next due instants. The rest of the draft can be invalid."""
    from jobs.schedules import bind_to_job, parse_schedule, zone_of
    from jobs.schedules.explanations import explain_schedule

    written = definition.get("schedule")
    if written is None:
        return SchedulePreview()
    try:
        schedule = bind_to_job(parse_schedule(written), find_written_name(definition) or "")
    except ScheduleError as error:
        return SchedulePreview(problem=str(error))
    zone = zone_of(schedule)
    due = next_due_instants(schedule, now, MAX_UPCOMING)
    instants = tuple((each, _local_text(each, schedule)) for each in due)
    return SchedulePreview(explain_schedule(schedule), "UTC" if zone is None else zone.name, instants)


def _local_text(due: datetime, schedule: Schedule) -> str:
    from jobs.schedules import zone_of

    zone = zone_of(schedule)
    local = due if zone is None else due.astimezone(zone.info)
    fraction = f".{local.microsecond // 1000:03}" if local.microsecond else ""
    return f"{local:%a %Y-%m-%d %H:%M:%S}{fraction} {local:%Z}"
