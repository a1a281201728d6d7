"""Validates jobs that are not in a file, with the same rules, together with jobs in force. Called by
scheduler.app.definitions.review.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from config.documents.document import Document
from config.errors import ConfigurationError
from config.job_files.interning import PartInterner
from config.job_files.job_set import JobSet
from config.job_files.joining import FileJobs, join_files, locate_by_origin
from config.job_files.reader import parse_file
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
) -> tuple[JobSet, tuple[Problem, ...]]:
    """Return the valid jobs of a document, and everything that is wrong with the others.

    `find_related`: returns the jobs in force, with their origins, to which these jobs refer. One that has the name of
    a job of the document is ignored. `alerting_in_force`: what the job files define, such as channels.
    """
    shown = _JSON_NAME if is_json else _YAML_NAME
    file = parse_file(content, shown, "", None, PartInterner(), default_schedule, os.environ)
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
