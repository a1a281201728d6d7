"""Objectives with the name of a job that has `slo`, that measure nothing, or whose alerts name what does not exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from config.job_files.alerting.context import AlertingContext, LocatedEntry
from jobs.problems import KeyPath, Problem, dotted_path

if TYPE_CHECKING:
    from config.job_files.joining import LocatedJob
    from jobs.definition.job import JobDefinition
    from jobs.definition.objective import JobObjective

_PART = "objectives"


def find_objective_problems(context: AlertingContext) -> Iterator[Problem]:
    for one in context.entries_of(_PART):
        name, has_alerts = one.entry.name, one.entry.value.alerts is not None
        job = context.jobs.get(name)
        if job is not None and job.job.slo is not None:
            message = f"the job {name} ({job.origin}) has slo, which is an objective of the same name"
            yield one.problem(message, "rename the objective")
        elif job is not None and has_alerts:
            message = f"an objective with alerts cannot have the name of a job: {name} is defined in {job.origin}"
            yield one.problem(message, "rename the objective")
        if has_alerts and name in context.group_names:
            yield one.problem(f"an objective with alerts cannot have the name of a group: {name}", "rename one of them")
        if has_alerts:
            yield from _find_unknown_names(one, (), one.entry.value, context)


def find_job_with_name_of_objective(one: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem if an objective of files that are not checked now has the name of the job.

    Only if both are objectives, or both are subjects of alerts.
    """
    name, has_slo = one.job.name, one.job.slo is not None
    if any(each.entry.name == name for each in context.entries_of(_PART)):
        return
    for other in context.definitions.entries_of(_PART):
        if other.name == name and (has_slo or other.value.alerts is not None):
            message = f"an objective of the section objectives has this name: {other.origin or 'in a job file'}"
            path = dotted_path(*one.path, "slo" if has_slo else "name")
            hint = "rename the job, or remove slo" if other.value.alerts is None else "rename the job"
            yield Problem(path, message, hint, one.file or None, one.line or None)


def find_unknown_names_of_objective(one: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield the channels and severities that burn alerts of a job name and that do not exist."""
    if one.job.slo is not None:
        yield from _find_unknown_names(one, ("slo",), one.job.slo, context)


def _find_unknown_names(
    one: LocatedJob | LocatedEntry, keys: KeyPath, objective: JobObjective, context: AlertingContext
) -> Iterator[Problem]:
    alerts = objective.alerts
    if alerts is None:
        return
    for key, options in (("page", alerts.page), ("ticket", alerts.ticket)):
        if options is None:
            continue
        path = (*keys, "alerts", key)
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


def find_unmeasured_times(context: AlertingContext) -> Iterator[Problem]:
    """Yield objectives by time of which no job has a rule whose alerts are downtime. One for all jobs with `slo`."""
    if not context.is_complete or context.broken or context.invalid:
        return
    message = "counts time, but no alert rule of its jobs counts as downtime, so it measures nothing"
    hint = "add a rule to alerts, or count runs"
    idle = [one for one in context.jobs.values() if _counts_time(one.job) and not _has_downtime(one.job, context)]
    if idle:
        more = f" (and that of {len(idle) - 1} more)" if len(idle) > 1 else ""
        path = dotted_path(*idle[0].path, "slo")
        yield Problem(path, f"the objective{more} {message}", hint, idle[0].file, idle[0].line)
    for one in context.entries_of(_PART):
        objective = one.entry.value
        if objective.counts == "time":
            jobs = [each.job for each in context.jobs.values()]
            chosen = [job for job in jobs if objective.select.selects(job.name, job.tags, str(job.check.kind))]
            if chosen and not any(_has_downtime(job, context) for job in chosen):
                yield one.problem(message, hint, "counts")


def _counts_time(job: JobDefinition) -> bool:
    return job.slo is not None and job.slo.counts == "time"


def _has_downtime(job: JobDefinition, context: AlertingContext) -> bool:
    from jobs.definition.job_alerts import rules_of
    from jobs.incidents.downtime import counts_as_downtime

    severities = context.definitions.severities
    return any(counts_as_downtime(rule, severities) for rule in rules_of(job, context.definitions))
