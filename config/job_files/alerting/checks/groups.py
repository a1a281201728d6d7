"""Groups with the name of a job: both are subjects of alerts, whose names are unique."""

from __future__ import annotations

from collections.abc import Iterator

from config.job_files.alerting.joining import AlertingContext
from jobs.problems import Problem


def find_group_problems(context: AlertingContext) -> Iterator[Problem]:
    for one in context.entries_of("groups"):
        job = context.jobs.get(one.entry.name)
        if job is not None:
            message = f"a group cannot have the name of a job: {one.entry.name} is defined in {job.origin}"
            yield one.problem(message, "rename the group")
