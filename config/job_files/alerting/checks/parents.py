"""Parents that do not exist, and jobs that would be held back behind themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from config.job_files.alerting.context import AlertingContext
from jobs.definition.job import find_parent_circle
from jobs.problems import Problem
from jobs.problems.findings import did_you_mean, suggest_sorted_name

if TYPE_CHECKING:
    from config.job_files.joining import LocatedJob


def find_unknown_parents(one: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each `alert_parent` of a job that is an unknown subject."""
    for parent in one.job.alert_parent:
        is_known = parent in context.jobs or parent in context.group_names or parent in context.broken
        if is_known or not context.is_complete or context.is_invalid("groups", parent):
            continue
        near = suggest_sorted_name(parent, context.subject_names)
        yield one.problem("alert_parent", f"the parent {parent} is neither a job nor a group{did_you_mean(near)}", "")


def find_parent_circles(one: LocatedJob, context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem if a parent of a job closes a circle."""
    # Of stored jobs, one that has only depends_on can close the circle of a file's alert_parent.
    if not one.job.alert_parent and not (context.is_partial and context.has_alert_parents and one.job.depends_on):
        return
    circle = find_parent_circle(one.job.name, context.parents)
    if circle and any(name not in context.jobs or context.jobs[name].job.alert_parent for name in circle):
        key = "alert_parent" if one.job.alert_parent else "depends_on"
        message = f"closes a circle of parents, so that no alert would be sent: {' -> '.join((*circle, circle[0]))}"
        yield one.problem(key, message, "remove one of these parents")
