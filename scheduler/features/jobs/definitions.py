"""Definitions outside the jobs in force: what a review of unsaved ones finds, and jobs written as a job file.

The review is a port: scheduler.app has the settings, the secrets and the guard of the targets. A job file that is
written loads unchanged: it has only the keys that differ from the defaults, as a user writes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from jobs.formats import write_definition
from jobs.model_base import FILE_CONTEXT
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from jobs.problems import Problem


@dataclass(frozen=True, slots=True)
class DefinitionReview:
    """`jobs`: the valid ones, by name. `denied_targets`: why the settings do not allow the target, by job."""

    jobs: Mapping[str, JobDefinition]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    denied_targets: Mapping[str, str] = field(default_factory=dict)
    unavailable_secrets: tuple[Problem, ...] = ()


class DefinitionReviewer(Protocol):
    async def read(self, content: bytes, *, is_json: bool, catalog: Catalog) -> DefinitionReview:
        """Validate a document as a job file is validated. `catalog`: jobs to which those of the document can refer."""
        ...

    async def review(self, content: bytes, *, is_json: bool, catalog: Catalog) -> DefinitionReview:
        """Return the same with denied targets, credentials and secrets, which takes a few seconds at most."""
        ...


def find_related_jobs(jobs: Sequence[JobDefinition], snapshot: JobSnapshot) -> Iterator[CatalogJob]:
    """Yield the jobs in force that these depend on or have as parents, at any distance, and members of their groups."""
    entries: dict[str, CatalogJob] = {}
    pending = [name for job in jobs for name in _references_of(job)]
    while pending:
        entry = snapshot.find_job(pending.pop())
        if entry is not None and entry.job.name not in entries:
            entries[entry.job.name] = entry
            pending += _references_of(entry.job)
    groups = frozenset[str]().union(*map(_groups_of, jobs))
    if groups:
        entries |= {entry.job.name: entry for entry in snapshot if _groups_of(entry.job) & groups}
    yield from entries.values()


def _references_of(job: JobDefinition) -> list[str]:
    return [*(dependency.job for dependency in job.depends_on), *job.alert_parent]


def _groups_of(job: JobDefinition) -> frozenset[str]:
    """Return the names of the groups that the job is a member of."""
    groups = [job.concurrency_group and job.concurrency_group.name, job.circuit and job.circuit.group]
    return frozenset(group for group in groups if group)


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


def written_definition(job: JobDefinition) -> Mapping[str, Any]:
    """Return the same, of a job made of a preset with the name of that instead of what it makes."""
    if job.preset is not None and job.preset.overrides is not None:
        return job.preset.as_written()
    return minimal_definition(job)


def write_job_file(
    jobs: Iterable[CatalogJob],
    format: JobFileFormat,
    show: Show = lambda definition: definition,
    define: Callable[[JobDefinition], Mapping[str, Any]] = written_definition,
) -> Iterator[str]:
    """Yield the parts of a job file: its start, each job, its end. `show`: returns what the reader sees of each."""
    if format is JobFileFormat.JSON:
        yield from _write_json(jobs, lambda job: show(define(job)))
        return
    yield f"{SCHEMA_LINE}\njobs:\n"
    is_empty = True
    for entry in jobs:
        is_empty = False
        origin = entry.origin.replace("\n", " ")
        yield f"  # {origin}\n{_to_yaml(entry.job.name, show(define(entry.job)))}"
    if is_empty:
        yield "  {}\n"


def _write_json(jobs: Iterable[CatalogJob], show: Callable[[JobDefinition], Mapping[str, Any]]) -> Iterator[str]:
    separator = ""
    yield '{\n  "$schema": "jobs.schema.json",\n  "jobs": {'
    for entry in jobs:
        text = json.dumps({entry.job.name: show(entry.job)}, indent=2, ensure_ascii=False)
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
