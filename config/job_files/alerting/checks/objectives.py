"""Objectives with the name of a job that has `slo`, and objectives that select no job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from config.job_files.alerting.context import AlertingContext
from jobs.problems import Problem, dotted_path

if TYPE_CHECKING:
    from config.job_files.joining import LocatedJob

_PART = "objectives"


def find_objective_problems(context: AlertingContext) -> Iterator[Problem]:
    for one in context.entries_of(_PART):
        job = context.jobs.get(one.entry.name)
        if job is not None and job.job.slo is not None:
            message = f"the job {one.entry.name} ({job.origin}) has slo, which is an objective of the same name"
            yield one.problem(message, "rename the objective")


def find_job_with_name_of_objective(one: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem if an objective of files that are not checked now has the name of a job with `slo`."""
    name = one.job.name
    if one.job.slo is None or any(each.entry.name == name for each in context.entries_of(_PART)):
        return
    for other in context.definitions.entries_of(_PART):
        if other.name == name:
            message = f"an objective of the section objectives has this name: {other.origin or 'in a job file'}"
            path = dotted_path(*one.path, "slo")
            yield Problem(path, message, "rename the job, or remove slo", one.file or None, one.line or None)


def find_idle_objectives(context: AlertingContext) -> Iterator[Problem]:
    if not context.is_complete or context.broken:
        return
    jobs = [one.job for one in context.jobs.values()]
    for one in context.entries_of(_PART):
        select = one.entry.value.select
        if not any(select.selects(job.name, job.tags, str(job.check.kind)) for job in jobs):
            yield one.problem(f"selects no job of the files ({select}), so it measures nothing", "", "select")
