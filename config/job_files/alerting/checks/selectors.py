"""Warnings of selectors that select nothing, and of rules that earlier rules keep from any job."""

from __future__ import annotations

from collections.abc import Iterator

from config.job_files.alerting.context import AlertingContext
from jobs.alerting.selectors import AlertSelector
from jobs.definition.alerting.job_alerts import find_selecting_entry
from jobs.problems import Problem


def find_idle_selectors(context: AlertingContext) -> Iterator[Problem]:
    if not context.is_complete or context.broken:
        return
    rules = context.entries_of("rules")
    used = {find_selecting_entry(one.job, context.definitions) for one in context.jobs.values()} if rules else set()
    for index, one in enumerate(rules):
        select = one.entry.value.select
        if not _selects_any(select, context):
            yield one.problem(f"selects no job of the files ({select}), so its rules apply to none", "", "select")
        elif index not in used:
            yield one.problem("applies to no job: earlier entries select its jobs first", "move it up, or remove it")
    for one in context.entries_of("groups"):
        if not _selects_any(one.entry.value.jobs, context):
            yield one.problem(f"selects no job of the files ({one.entry.value.jobs}), so it is never down", "", "jobs")


def _selects_any(select: AlertSelector, context: AlertingContext) -> bool:
    return any(select.selects(one.job.name, one.job.tags, str(one.job.check.kind)) for one in context.jobs.values())
