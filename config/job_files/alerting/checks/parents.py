"""Parents that do not exist, and jobs that would be held back behind themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from config.job_files.alerting.joining import AlertingContext
from jobs.definition.alerting.parents import find_parent_circle
from jobs.problems import Problem
from jobs.problems.suggestions import did_you_mean, suggest_sorted_name


def find_parent_problems(context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each job with `alert_parent` that names an unknown subject, or closes a circle."""
    children = [one for one in context.jobs.values() if one.job.alert_parent]
    if not children:
        return
    groups = context.definitions.groups
    parents = {**{name: one.job.parents for name, one in context.jobs.items()}, **_find_members(context)}
    names: list[str] = []
    for one in children:
        for parent in one.job.alert_parent:
            if parent in context.jobs or parent in groups or parent in context.broken or not context.is_complete:
                continue
            names = names or sorted((*context.jobs, *groups))
            near = suggest_sorted_name(parent, names)
            message = f"the parent {parent} is neither a job nor a group{did_you_mean(near)}"
            yield one.problem("alert_parent", message, "")
        circle = find_parent_circle(one.job.name, parents)
        if circle:
            message = f"closes a circle of parents, so that no alert would be sent: {' -> '.join((*circle, circle[0]))}"
            yield one.problem("alert_parent", message, "remove one of these parents")


def _find_members(context: AlertingContext) -> Mapping[str, Sequence[str]]:
    """Return the jobs of each group that is a parent: a job must not be behind a group of which it is a member."""
    named = {parent for one in context.jobs.values() for parent in one.job.alert_parent}
    groups = {name: group for name, group in context.definitions.groups.items() if name in named}
    return {
        name: tuple(
            one.job.name
            for one in context.jobs.values()
            if group.jobs.selects(one.job.name, one.job.tags, str(one.job.check.kind))
        )
        for name, group in groups.items()
        if name not in context.jobs
    }
