"""What a working copy would change of what runs: its plan, and the drift that the plan would repair."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scheduler.features.delivery.port import AlertRequest, RunningJob

if TYPE_CHECKING:
    from config.desired_sets import DesiredSet
    from config.job_files.job_set import JobSet
    from jobs.definition import JobDefinition
    from jobs.definition.alerting_section import AlertingDefinitions
    from scheduler.features.delivery.plan_report import LoadChange
    from scheduler.features.delivery.port import AlertReplay, RecordedChange, SchedulerReader
    from scheduler.features.stored_jobs.sets import JobDifference, SetPlan

ALERT_FIELDS = frozenset({"alerts", "alert_parent", "slo", "tags"})
"""Fields of a job that decide what is notified: `slo` has burn alerts. Tags select rules, groups, routes, windows and
silences.
"""
MAX_SEARCHED: Final = 200
"""Jobs whose change is searched in the audit trail."""


@dataclass(frozen=True, slots=True)
class WorkingCopy:
    """`jobs`: by name. `desired`: the set with its `owner`; None: the files are job files of a scheduler.

    `files`: all that these job files define.
    """

    jobs: Mapping[str, JobDefinition]
    owner: str = ""
    desired: DesiredSet | None = None
    files: JobSet | None = field(default=None, repr=False)

    @property
    def alerting(self) -> AlertingDefinitions | None:
        """What the job files define in their sections `alerting`; None of a set."""
        return None if self.files is None else self.files.alerting


class PlanOptions(NamedTuple):
    """`alerts_since` None: no replay of alerts. `has_load`: whether the load is computed. `has_review`: whether targets
    and secrets of changed job files are reviewed.
    """

    adopt: bool = False
    allow_literal: bool = False
    has_review: bool = True
    alerts_since: datetime | None = None
    has_load: bool = False
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class PlannedChanges:
    """`definitions`: all jobs after the plan, by name. `load`, `alerts`: as requested; `alerts` None also if no job
    changes its alerts. `sections`: entries of job files that are not jobs; None: they are not compared.
    """

    plan: SetPlan
    definitions: Mapping[str, JobDefinition]
    sections: Sequence[JobDifference] | None = None
    load: LoadChange | None = None
    alerts: AlertReplay | None = None


async def plan_changes(
    scheduler: SchedulerReader,
    copy: WorkingCopy,
    options: PlanOptions,
    sections: Sequence[JobDifference] | None = None,
) -> PlannedChanges:
    """Return what the working copy would change. `sections`: see PlannedChanges. Raises as SchedulerReader."""
    if copy.desired is not None:
        plan = await scheduler.plan_set(
            copy.owner, copy.desired.document, adopt=options.adopt, allow_literal=options.allow_literal
        )
        needs_jobs = options.has_load or options.alerts_since is not None
        running = await scheduler.read_jobs() if needs_jobs else ()
    else:
        running = await scheduler.read_jobs()
        plan = await _plan_files(scheduler, copy, running, options.has_review)
    after = _list_after(plan, running, copy)
    changed = frozenset(after) if _change_alerts(sections or ()) else find_changed_alerts(plan)
    return PlannedChanges(
        plan,
        after,
        sections,
        await _compute_load(scheduler, running, after, options.zone) if options.has_load else None,
        await _replay_alerts(scheduler, changed, after, copy, options.alerts_since),
    )


def find_changed_alerts(plan: SetPlan) -> frozenset[str]:
    """Return the names of the jobs whose alerts, alert parents or tags the plan changes."""
    return frozenset(
        one.name for one in plan.changed if any(re.split(r"[.\[]", each.path)[0] in ALERT_FIELDS for each in one.fields)
    )


async def _plan_files(
    scheduler: SchedulerReader, copy: WorkingCopy, running: Sequence[RunningJob], has_review: bool
) -> SetPlan:
    from scheduler.features.delivery.job_files import plan_files

    plan = plan_files(running, copy.jobs, datetime.now(UTC))
    written = [copy.jobs[one.name] for one in (*plan.added, *plan.changed)]
    if not written or not has_review:
        return plan
    return replace(
        plan,
        review=replace(await scheduler.review(written), warnings=() if copy.files is None else copy.files.warnings),
    )


def _list_after(plan: SetPlan, running: Sequence[RunningJob], copy: WorkingCopy) -> Mapping[str, JobDefinition]:
    removed = {one.name for one in plan.removed}
    remaining = {each.job.name: each.job for each in running if each.job.name not in removed}
    return remaining | {name: job for name, job in copy.jobs.items() if name not in plan.conflicts}


async def _compute_load(
    scheduler: SchedulerReader, running: Sequence[RunningJob], after: Mapping[str, JobDefinition], zone: tzinfo
) -> LoadChange:
    from scheduler.features.delivery.plan_report import compute_load_change

    before = [each.job for each in running]
    durations = await scheduler.read_durations(sorted({job.name for job in before} | after.keys()))
    now = datetime.now(UTC)
    return await asyncio.to_thread(compute_load_change, before, list(after.values()), durations, zone, now)


def _change_alerts(sections: Sequence[JobDifference]) -> bool:
    """Return whether the alerts of any job may change. Groups are those of concurrency and circuits."""
    return any(not one.name.startswith("groups.") for one in sections)


async def _replay_alerts(
    scheduler: SchedulerReader,
    changed: frozenset[str],
    after: Mapping[str, JobDefinition],
    copy: WorkingCopy,
    since: datetime | None,
) -> AlertReplay | None:
    if not changed or since is None:
        return None
    return await scheduler.replay_alerts(AlertRequest(changed, after, since, copy.alerting))


class DriftKind(StrEnum):
    CHANGED = "changed"
    MISSING = "missing"
    """It is defined in the files, and does not run."""
    EXTRA = "extra"
    """It runs, and is not defined in the files."""


@dataclass(frozen=True, slots=True)
class DriftedField:
    """`in_files`, `running`: None: not set."""

    path: str
    in_files: Any
    running: Any


@dataclass(frozen=True, slots=True)
class DriftedJob:
    """`change`: the latest one of its definition in the audit trail; None without one, as for jobs of files."""

    name: str
    kind: DriftKind
    fields: Sequence[DriftedField] = ()
    change: RecordedChange | None = None


@dataclass(frozen=True, slots=True)
class DriftReport:
    """`owner`: of the set; empty for job files. `conflicts`: jobs of another set or file, by name."""

    owner: str
    jobs: Sequence[DriftedJob]
    same: int
    conflicts: dict[str, str]

    @property
    def is_drifted(self) -> bool:
        return bool(self.jobs or self.conflicts)


async def find_drift(scheduler: SchedulerReader, plan: SetPlan, sections: Sequence[JobDifference] = ()) -> DriftReport:
    """Return what `plan` would repair. `sections`: changed entries of job files that are not jobs.

    Raises as SchedulerReader.
    """
    drifted = [
        *(DriftedJob(one.name, DriftKind.MISSING) for one in plan.added),
        *(DriftedJob(one.name, DriftKind.EXTRA) for one in plan.removed),
        *map(_turn, plan.changed),
    ]
    drifted.sort(key=lambda each: each.name)
    jobs = [
        DriftedJob(each.name, each.kind, each.fields, await scheduler.find_change(each.name))
        for each in drifted[:MAX_SEARCHED]
    ]
    rest = [*drifted[MAX_SEARCHED:], *map(_turn, sections)]
    return DriftReport(plan.owner, [*jobs, *rest], plan.unchanged, dict(plan.conflicts))


def _turn(difference: JobDifference) -> DriftedJob:
    fields = [DriftedField(each.path, each.after, each.before) for each in difference.fields]
    return DriftedJob(difference.name, DriftKind.CHANGED, fields)
