"""Validates jobs that are not in force yet, with the same rules, together with those that are.

Jobs of an editor stand in no file; a job file that a backtest reads replaces the one in force.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from config.documents.document import Document, read_file
from config.errors import ConfigurationError
from config.job_files.entries import PartInterner
from config.job_files.job_set import JobSet
from config.job_files.joining import FileJobs, join_files, locate_by_origin
from config.job_files.reader import JobFileReader, parse_file
from config.presets.library import NO_OWN_PRESETS, PresetLibrary
from jobs.definition import JobDefinition
from jobs.definition.alerting_section import NO_ALERTING, AlertingDefinitions
from jobs.problems import Problem
from jobs.schedules import Schedule

_YAML_NAME, _JSON_NAME = "body.yaml", "body.json"


def read_unsaved_jobs(
    content: bytes,
    *,
    is_json: bool,
    find_related: Callable[[Sequence[JobDefinition]], Iterable[tuple[JobDefinition, str]]],
    default_schedule: Schedule | None,
    alerting_in_force: AlertingDefinitions = NO_ALERTING,
    presets: PresetLibrary = NO_OWN_PRESETS,
) -> tuple[JobSet, tuple[Problem, ...]]:
    """Return the valid jobs of a document, and everything that is wrong with the others.

    `find_related`: returns the jobs in force, with their origins, to which these jobs refer. One that has the name of
    a job of the document is ignored. `alerting_in_force`: what the job files define, such as channels.
    """
    shown = _JSON_NAME if is_json else _YAML_NAME
    file = parse_file(content, shown, "", None, PartInterner(), default_schedule, os.environ, presets)
    own = {one.job.name for one in file.jobs}
    related = find_related([one.job for one in file.jobs])
    others = [
        locate_by_origin(job, origin, lambda file: Document(file, None))
        for job, origin in related
        if job.name not in own
    ]
    problems: tuple[Problem, ...] = ()
    try:
        jobs = join_files([FileJobs(jobs=tuple(others)), file], alerting_in_force=alerting_in_force)
    except ConfigurationError as error:
        problems, jobs = error.problems, error.usable or JobSet()
    found = {job.name: job for job in jobs if job.name in own}
    uses = tuple(use for use in jobs.uses if use.job.name in own)
    warnings = tuple(warning for warning in jobs.warnings if warning.file == shown)
    return JobSet(found, dict.fromkeys(found, shown), warnings=warnings, uses=uses), problems


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
    presets, _ = JobFileReader(root).read_presets(path)
    content = read_file(path, shown)
    file = parse_file(content, shown, path.stem, None, PartInterner(), default_schedule, os.environ, presets)
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
