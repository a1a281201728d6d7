"""Drafts, which a person edits: their definition, their schedule in words, their text in a job file, and what differs
from the definition in force. Nothing here validates a definition: see scheduler.features.jobs.definitions.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from jobs.errors import ScheduleError
from jobs.flat import is_flat_job
from jobs.formats import write_definition
from scheduler.catalog.written_jobs import (
    InvalidJson,
    InvalidYaml,
    PresetLibrary,
    expand_definition,
    find_written_name,
    parse_definition_json,
    parse_definition_yaml,
)
from scheduler.features.jobs.definitions import written_definition
from scheduler.features.jobs.queries import next_due_instants

if TYPE_CHECKING:
    from jobs.schedules import Schedule
    from scheduler.catalog.catalog import CatalogJob
    from scheduler.features.stored_jobs.queries import DeclaredJob

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


def preview_schedule(definition: Mapping[str, Any], now: datetime, presets: PresetLibrary) -> SchedulePreview:
    """Return the schedule of a draft in words, with its next due instants. The rest of the draft can be invalid."""
    from jobs.schedules import bind_to_job, parse_schedule, zone_of
    from jobs.schedules.explanations import explain_schedule

    expanded = expand_definition(definition, presets)
    if expanded is None:
        return SchedulePreview(problem="its preset cannot be used")
    written = expanded.get("schedule")
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


_MAX_COMPARED_LINES: Final = 2000
"""Lines of a text that is compared: the time grows with their square."""
_LINE_OF_ORIGIN: Final = re.compile(r":\d+$")


def editable_definition(declared: DeclaredJob, entry: CatalogJob | None) -> Mapping[str, Any]:
    """Return the definition with its name as the form edits it: in the full form, if the job is in force."""
    if is_flat_job(declared.definition):
        return declared.definition if entry is None else {"name": declared.name, **written_definition(entry.job)}
    return {"name": declared.name, **declared.definition}


def file_of_origin(origin: str) -> str:
    """Return the job file of an origin such as `jobs/shop.yaml:12`."""
    return _LINE_OF_ORIGIN.sub("", origin)


def write_for_file(definition: Mapping[str, Any], file: str) -> str:
    """Return the job as it stands in a job file: JSON if the name of the file ends in .json, else YAML.

    A draft without a name is `my-job`.
    """
    name = find_written_name(definition)
    if name is None or is_flat_job(definition):
        document: Mapping[str, Any] = {"jobs": [definition]}
    else:
        document = {"jobs": {name or "my-job": {key: value for key, value in definition.items() if key != "name"}}}
    if file.lower().endswith(".json"):
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return write_definition(document)


def restore_numbers(value: Any, written: Any) -> Any:
    """Return the value with the numbers of `written` where they are equal: a browser turns 99.0 into 99."""
    if isinstance(value, Mapping) and isinstance(written, Mapping):
        return {key: restore_numbers(child, written.get(key)) for key, child in value.items()}
    if isinstance(value, list) and isinstance(written, list):
        return [restore_numbers(*pair) for pair in zip_longest(value, written[: len(value)])]
    return written if type(value) is int and type(written) is float and value == written else value


def compare_texts(before: str, after: str, before_name: str, after_name: str) -> str:
    """Return the unified diff; empty without a difference, or if a text is too long to compare."""
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > _MAX_COMPARED_LINES:
        return ""
    return "\n".join(difflib.unified_diff(old, new, before_name, after_name, lineterm=""))
