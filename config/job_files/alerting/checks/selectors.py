"""Warnings of selectors that select nothing, and of rules that earlier rules keep from any job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from config.job_files.alerting.context import AlertingContext
from jobs.alerting.selectors import AlertSelector
from jobs.problems import Problem

if TYPE_CHECKING:
    from jobs.incidents.suppression.windows import AlertSubject


def find_idle_selectors(context: AlertingContext) -> Iterator[Problem]:
    if not context.is_complete or context.broken:
        return
    rules, groups = context.entries_of("rules"), context.entries_of("groups")
    if not rules and not groups:
        return
    from jobs.definition.alerting_gaps import SubjectClasses, subject_of_job

    selectors: list[AlertSelector] = [one.entry.value.select for one in rules]
    selectors += [one.entry.value.jobs for one in groups]
    classes = SubjectClasses(selectors)
    subjects = classes.one_of_each(subject_of_job(one.job) for one in context.jobs.values())
    left = subjects
    for one in rules:
        select = one.entry.value.select
        rest = [each for each in left if not select.selects(each.name, each.tags, each.kind)]
        if not _selects_any(select, subjects):
            yield one.problem(f"selects no job of the files ({select}), so its rules apply to none", "", "select")
        elif len(rest) == len(left):
            yield one.problem("applies to no job: earlier entries select its jobs first", "move it up, or remove it")
        left = rest
    for one in groups:
        if not _selects_any(one.entry.value.jobs, subjects):
            yield one.problem(f"selects no job of the files ({one.entry.value.jobs}), so it is never down", "", "jobs")


def _selects_any(select: AlertSelector, subjects: Sequence[AlertSubject]) -> bool:
    return any(select.selects(each.name, each.tags, each.kind) for each in subjects)
