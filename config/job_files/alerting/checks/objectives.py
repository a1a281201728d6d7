"""Objectives with the name of a job that has `slo`, that select no job, or whose alerts name what does not exist."""

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


def find_unknown_names_of_objective(one: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield the channels and severities that burn alerts of a job name and that do not exist."""
    alerts = None if one.job.slo is None else one.job.slo.alerts
    if alerts is None:
        return
    for key, options in (("page", alerts.page), ("ticket", alerts.ticket)):
        if options is None:
            continue
        path = ("slo", "alerts", key)
        severities = (options.severity,) if options.severity else ()
        for _, name in context.find_missing("severities", severities):
            yield one.problem_at((*path, "severity"), *context.describe_missing("severity", "severities", name))
        for position, name in context.find_missing("channels", options.notify):
            yield one.problem_at((*path, "notify", position), *context.describe_missing("channel", "channels", name))
        for step, escalation in enumerate(options.escalate):
            for position, name in context.find_missing("channels", escalation.notify):
                place = (*path, "escalate", step, "notify", position)
                yield one.problem_at(place, *context.describe_missing("channel", "channels", name))


def find_idle_objectives(context: AlertingContext) -> Iterator[Problem]:
    if not context.is_complete or context.broken:
        return
    jobs = [one.job for one in context.jobs.values()]
    for one in context.entries_of(_PART):
        select = one.entry.value.select
        if not any(select.selects(job.name, job.tags, str(job.check.kind)) for job in jobs):
            yield one.problem(f"selects no job of the files ({select}), so it measures nothing", "", "select")
