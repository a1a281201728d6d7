"""Writes jobs as a job file that loads unchanged: only keys that differ from the defaults, as a user writes them.

Called by scheduler.api, scheduler.features.stored_jobs.drafts and the command `export`.

"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from jobs.formats.definition_yaml import write_definition
from jobs.model_base import FILE_CONTEXT

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from scheduler.catalog.catalog import CatalogJob

Show = Callable[[Mapping[str, Any]], Mapping[str, Any]]
SCHEMA_LINE = "# yaml-language-server: $schema=jobs.schema.json"


class JobFileFormat(StrEnum):
    """The format of a job file."""

    YAML = "yaml"
    JSON = "json"

    @property
    def media_type(self) -> str:
        return f"application/{self.value}"


def minimal_definition(job: JobDefinition) -> Mapping[str, Any]:
    """Return the full form of a job without its name and without defaults. It has the same generation."""
    from jobs.definition import JobDefinition

    shortest = job.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for candidate in (shortest, job.model_dump(mode="json", by_alias=True, exclude_unset=True)):
        if job.schedule is None and not job.depends_on:
            candidate.setdefault("schedule", None)  # the kind of its check can have a default schedule
        if _loads_as(JobDefinition, candidate, job):
            return _without_name(candidate)
    return _without_name(job.to_json())


def write_job_file(
    jobs: Iterable[CatalogJob], format: JobFileFormat, show: Show = lambda definition: definition
) -> Iterator[str]:
    """Yield the parts of a job file: its start, each job, its end. `show`: returns what the reader sees of each."""
    if format is JobFileFormat.JSON:
        yield from _write_json(jobs, show)
        return
    yield f"{SCHEMA_LINE}\njobs:\n"
    is_empty = True
    for entry in jobs:
        is_empty = False
        origin = entry.origin.replace("\n", " ")
        yield f"  # {origin}\n{_to_yaml(entry.job.name, show(minimal_definition(entry.job)))}"
    if is_empty:
        yield "  {}\n"


def _write_json(jobs: Iterable[CatalogJob], show: Show) -> Iterator[str]:
    separator = ""
    yield '{\n  "$schema": "jobs.schema.json",\n  "jobs": {'
    for entry in jobs:
        text = json.dumps({entry.job.name: show(minimal_definition(entry.job))}, indent=2, ensure_ascii=False)
        yield separator + "".join(f"\n  {line}" for line in text.splitlines()[1:-1])
        separator = ","
    yield "\n  }\n}\n"


def _loads_as(model: type[JobDefinition], written: Mapping[str, Any], job: JobDefinition) -> bool:
    try:
        return model.model_validate(written, context=FILE_CONTEXT).model_dump_json() == job.model_dump_json()
    except ValueError:
        return False


def _without_name(definition: dict[str, Any]) -> Mapping[str, Any]:
    del definition["name"]
    return definition


def _to_yaml(name: str, definition: Mapping[str, Any]) -> str:
    text = write_definition({name: definition})
    return "".join(f"  {line}\n" for line in text.splitlines())
