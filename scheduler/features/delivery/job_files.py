"""Job files of a working copy against those that run, and what runs as job files. Pure.

A plan of job files has the form of that of a set. Sections that are not jobs are compared with the configured job
files alone: the API does not export them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from scheduler.catalog.catalog import CatalogJob
from scheduler.features.jobs.definitions import JobFileFormat, write_job_file
from scheduler.features.jobs.queries import next_due_instants
from scheduler.features.stored_jobs.queries import compare_definitions
from scheduler.features.stored_jobs.sets import NEXT_RUNS, JobDifference, SetPlan, SetReview

if TYPE_CHECKING:
    from config.job_files.job_set import JobSet
    from jobs.definition import JobDefinition
    from scheduler.features.delivery.port import RunningJob

_OBJECTIVES: Final = "objectives"
"""A separate section, which is read as a part of alerting."""
_LINE_OF_ORIGIN = re.compile(r":\d+$")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def plan_files(running: Sequence[RunningJob], files: Mapping[str, JobDefinition], now: datetime) -> SetPlan:
    """Return what the files would change. `owner` and `id` are empty: only sets have one, and are applied.

    A file that has the name of a stored job is a conflict: the stored job would not be in force any more.
    """
    before = {each.job.name: each.job for each in running if not each.is_stored and not each.is_sample}
    stored = {each.job.name: each for each in running if each.is_stored}
    plan = SetPlan("", "", [], [], [], 0, {}, SetReview())
    conflicts: dict[str, str] = {}
    unchanged = 0
    for name in sorted(files.keys() | before.keys()):
        old, new = before.get(name), files.get(name)
        if old is not None and new is not None and old.to_json() == new.to_json():
            unchanged += 1
        elif new is not None and name in stored:
            holder = f"of the set {stored[name].owner}" if stored[name].owner else "that was made by hand"
            conflicts[name] = f"the file would replace the stored job {name} {holder}: delete it, or rename one of them"
        else:
            side = plan.changed if old and new else plan.added if new else plan.removed
            side.append(_find_difference(name, old, new, now))
    return SetPlan("", "", plan.added, plan.changed, plan.removed, unchanged, conflicts, SetReview())


def _find_difference(
    name: str, before: JobDefinition | None, after: JobDefinition | None, now: datetime
) -> JobDifference:
    fields = [] if before is None or after is None else [*compare_definitions(before.to_json(), after.to_json())]
    return JobDifference(name, fields, _find_next(before, now), _find_next(after, now))


def _find_next(job: JobDefinition | None, now: datetime) -> Sequence[datetime]:
    if job is None or job.schedule is None or not job.enabled:
        return ()
    return next_due_instants(job.schedule, now, NEXT_RUNS)


def compare_sections(running: JobSet, files: JobSet) -> list[JobDifference]:
    """Return each entry that differs, by its key such as `alerting.channels.hook`. Absent entries have no fields."""
    before, after = (dict(_list_entries(jobs)) for jobs in (running, files))
    differences: list[JobDifference] = []
    for key in sorted(before.keys() | after.keys()):
        fields = list(compare_definitions(before.get(key, {}), after.get(key, {})))
        if fields or (key in before) is not (key in after):
            differences.append(JobDifference(key, fields))
    return differences


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


def select_jobs(running: Sequence[RunningJob], owner: str | None) -> Sequence[RunningJob]:
    """Return the jobs of a set; `owner` empty: those that were made by hand; None: those of job files."""
    return [each for each in running if each.owner == owner and not each.is_sample]


def write_files(jobs: Sequence[RunningJob], owner: str | None, form: JobFileFormat) -> Mapping[str, str]:
    """Return the texts of the files by name. The jobs of a file stay together."""
    by_file: dict[str, list[CatalogJob]] = {}
    for each in jobs:
        by_file.setdefault(_name_file(each, owner), []).append(CatalogJob(each.job, _describe_origin(each)))
    return {f"{name}.{form.value}": "".join(write_job_file(some, form)) for name, some in sorted(by_file.items())}


def _name_file(job: RunningJob, owner: str | None) -> str:
    """Return a name that is safe in any folder: the origin is a text of the scheduler."""
    if owner is not None:
        return owner or "stored-jobs"
    stem = PurePath(_LINE_OF_ORIGIN.sub("", job.origin).replace("\\", "/")).stem
    return _UNSAFE.sub("-", stem).strip(".-") or "jobs"


def _describe_origin(job: RunningJob) -> str:
    return job.origin if job.owner is None else f"{job.origin} of the set {job.owner}" if job.owner else job.origin
