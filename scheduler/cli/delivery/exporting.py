"""Writes what runs as job files: one a file of origin, or one for a set. Called by `export-jobs`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from scheduler.catalog.catalog import CatalogJob
from scheduler.features.jobs.definitions import JobFileFormat, write_job_file

if TYPE_CHECKING:
    from scheduler.cli.delivery.port import RunningJob

_LINE_OF_ORIGIN = re.compile(r":\d+$")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


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
