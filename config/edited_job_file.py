"""Reads an edited job file as if it replaced the one in force, for a backtest. Called by scheduler.cli."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from config.documents.document import Document, read_file
from config.job_files.interning import PartInterner
from config.job_files.job_set import JobSet
from config.job_files.joining import FileJobs, join_files, locate_by_origin
from config.job_files.reader import parse_file
from jobs.definition import JobDefinition
from jobs.definition.alerting_section import AlertingDefinitions
from jobs.schedules import Schedule


def read_edited_file(
    path: Path,
    root: Path,
    in_force: Iterable[tuple[JobDefinition, str]],
    alerting: AlertingDefinitions,
    default_schedule: Schedule | None,
) -> JobSet:
    """Return the jobs and alerting definitions in force, with those of the file in place of the same ones.

    What is in force from a file of this path is replaced; a job or a named entry of the file replaces that of another
    file. `in_force`: each job with its origin. `root`: origins are relative to it.

    Raises:
        ConfigurationError: something in the file is wrong, alone or together with what is in force.
        UnreadableFile: it cannot be read.
    """
    whole = path.absolute()
    shown = str(whole.relative_to(root) if whole.is_relative_to(root) else path)
    file = parse_file(read_file(path, shown), shown, path.stem, None, PartInterner(), default_schedule, os.environ)
    own = {one.job.name for one in file.jobs}
    others = [
        locate_by_origin(job, origin, lambda name: Document(name, None))
        for job, origin in in_force
        if job.name not in own and not _is_from(origin, shown)
    ]
    parts = {
        key: tuple(entry for entry in entries if not _is_from(entry.origin, shown))
        for key, entries in alerting.parts.items()
    }
    remaining = replace(alerting, parts=parts)
    jobs = join_files([FileJobs(jobs=tuple(others)), file], alerting_in_force=remaining)
    return replace(jobs, alerting=remaining.overridden_by(jobs.alerting))


def _is_from(origin: str, shown: str) -> bool:
    return origin.rpartition(":")[0] == shown
