"""Groups with the name of a job: both are subjects of alerts, whose names are unique."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from config.job_files.alerting.context import AlertingContext
from jobs.problems import Problem, dotted_path

if TYPE_CHECKING:
    from config.job_files.joining import LocatedJob


def find_group_problems(context: AlertingContext) -> Iterator[Problem]:
    for one in context.entries_of("groups"):
        job = context.jobs.get(one.entry.name)
        if job is not None:
            message = f"a group cannot have the name of a job: {one.entry.name} is defined in {job.origin}"
            yield one.problem(message, "rename the group")


def find_job_with_name_of_group(one: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem if a group of files that are not checked now has the name of the job."""
    name = one.job.name
    if name not in context.group_names or name in context.located_groups:
        return
    group = next(entry for entry in context.definitions.entries_of("groups") if entry.name == name)
    message = f"a group of alerts has this name: {group.origin or 'in a job file'}"
    yield Problem(dotted_path(*one.path) or "name", message, "rename the job", one.file or None, one.line or None)
