"""Compares the sections of job files that are not jobs: alerting, objectives and groups. Pure. Called by planning.

Only with the configured job files: the API does not export these sections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from scheduler.features.stored_jobs.queries import compare_definitions
from scheduler.features.stored_jobs.sets import JobDifference

if TYPE_CHECKING:
    from config.job_files.job_set import JobSet

_OBJECTIVES: Final = "objectives"
"""A separate section, which is read as a part of alerting."""


def compare_sections(running: JobSet, files: JobSet) -> list[JobDifference]:
    """Return each entry that differs, by its key such as `alerting.channels.hook`. Absent entries have no fields."""
    before, after = (dict(_list_entries(jobs)) for jobs in (running, files))
    found: list[JobDifference] = []
    for key in sorted(before.keys() | after.keys()):
        fields = list(compare_definitions(before.get(key, {}), after.get(key, {})))
        if fields or (key in before) is not (key in after):
            found.append(JobDifference(key, fields))
    return found


def _list_entries(jobs: JobSet) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for part, entries in jobs.alerting.parts.items():
        section = part if part == _OBJECTIVES else f"alerting.{part}"
        for number, entry in enumerate(entries):
            yield f"{section}.{entry.name}" if entry.name else f"{section}[{number}]", _to_document(entry.value)
    for group in jobs.groups:
        yield f"groups.{group.name}", _to_document(group.members)


def _to_document(value: Any) -> Mapping[str, Any]:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    return {"value": repr(value)}
