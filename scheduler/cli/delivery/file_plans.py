"""Plans a change of job files: those of a working copy against the jobs of files that run. Pure.

Called by `plan` and `drift` without --set. The plan has the form of that of a set: see
scheduler.features.stored_jobs.sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from scheduler.features.jobs.queries import next_due_instants
from scheduler.features.stored_jobs.queries import compare_definitions
from scheduler.features.stored_jobs.sets import NEXT_RUNS, JobDifference, SetPlan, SetReview

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from scheduler.cli.delivery.port import RunningJob


def plan_files(running: Sequence[RunningJob], files: Mapping[str, JobDefinition], now: datetime) -> SetPlan:
    """Return what the files would change. `owner` and `id` are empty: only sets have one, and are applied.

    A file that has the name of a stored job is a conflict: the stored job would not be in force any more.
    """
    before = {each.job.name: each.job for each in running if not each.is_stored and not each.is_sample}
    stored = {each.job.name: each for each in running if each.is_stored}
    plan = SetPlan("", "", [], [], [], 0, {}, SetReview())
    conflicts: dict[str, str] = {}
    unchanged = 0
    for name in sorted(files.keys() | before.keys()):
        old, new = before.get(name), files.get(name)
        if old is not None and new is not None and old.to_json() == new.to_json():
            unchanged += 1
        elif new is not None and name in stored:
            holder = f"of the set {stored[name].owner}" if stored[name].owner else "that was made by hand"
            conflicts[name] = f"the file would replace the stored job {name} {holder}: delete it, or rename one of them"
        else:
            side = plan.changed if old and new else plan.added if new else plan.removed
            side.append(_find_difference(name, old, new, now))
    return SetPlan("", "", plan.added, plan.changed, plan.removed, unchanged, conflicts, SetReview())


def _find_difference(
    name: str, before: JobDefinition | None, after: JobDefinition | None, now: datetime
) -> JobDifference:
    fields = [] if before is None or after is None else [*compare_definitions(before.to_json(), after.to_json())]
    return JobDifference(name, fields, _find_next(before, now), _find_next(after, now))


def _find_next(job: JobDefinition | None, now: datetime) -> Sequence[datetime]:
    if job is None or job.schedule is None or not job.enabled:
        return ()
    return next_due_instants(job.schedule, now, NEXT_RUNS)
