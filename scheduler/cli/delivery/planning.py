"""Plans a working copy against what runs: changes, load and alerts. Called by `plan` and `drift`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from scheduler.cli.delivery.port import AlertRequest, RunningJob

if TYPE_CHECKING:
    from pathlib import Path

    from config.loading import Configuration
    from jobs.definition import JobDefinition
    from scheduler.cli.delivery.connection import Connection
    from scheduler.cli.delivery.load import LoadChange
    from scheduler.cli.delivery.port import AlertReplay, SchedulerReader
    from scheduler.cli.delivery.working_copy import WorkingCopy
    from scheduler.features.stored_jobs.sets import JobDifference, SetPlan

T = TypeVar("T")

ALERT_FIELDS = frozenset({"alerts", "alert_parent", "slo", "tags"})
"""Fields of a job that decide what is notified: `slo` has burn alerts. Tags select rules, groups, routes, windows and
silences.
"""


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


class CopyComparison(NamedTuple):
    """A working copy, and with what it is compared: a running scheduler, or the store of the configuration."""

    copy: WorkingCopy
    connection: Connection | None
    configuration: Configuration | None

    def plan(self, options: PlanOptions, *, if_available: bool = False) -> PlannedChanges | str:
        """Return what the working copy would change. Failures end the command.

        `if_available`: if the running scheduler cannot plan, return why. A refused key ends the command all the same.
        """
        from scheduler.cli.delivery.remote import RemoteError

        async def work(scheduler: SchedulerReader) -> PlannedChanges | str:
            try:
                return await self.plan_with(scheduler, options)
            except RemoteError as error:
                if not if_available or error.is_refused_key:
                    raise
                return str(error)

        return self.run(work)

    async def plan_with(self, scheduler: SchedulerReader, options: PlanOptions) -> PlannedChanges:
        """Return the same, for more work with what runs. Raises as SchedulerReader."""
        if self.copy.files is None or self.configuration is None:
            return await plan_changes(scheduler, self.copy, options)
        from scheduler.cli.delivery.sections import compare_sections

        sections = compare_sections(self.configuration.jobs, self.copy.files)
        return await plan_changes(scheduler, self.copy, options, sections)

    def run(self, work: Callable[[SchedulerReader], Awaitable[T]]) -> T:
        """Do the work with what runs. Failures end the command."""
        return with_scheduler(self.connection, self.configuration, self.copy, work)


def read_comparison(
    command: str, files: Sequence[Path], owner: str | None, connection: Connection | None
) -> CopyComparison:
    """Read the working copy, and without a connection the configuration. What is wrong ends the command with 2."""
    from scheduler.cli.context import load_for_command
    from scheduler.cli.delivery.working_copy import read_default_schedule, read_working_copy

    configuration = None if connection is not None else load_for_command(command)
    schedule = read_default_schedule() if configuration is None else configuration.settings.default_schedule
    return CopyComparison(read_working_copy(files, owner, schedule), connection, configuration)


def with_scheduler(
    connection: Connection | None,
    configuration: Configuration | None,
    copy: WorkingCopy,
    work: Callable[[SchedulerReader], Awaitable[T]],
) -> T:
    """Do the work with the running scheduler, or with the configured store. Failures end the command."""
    if connection is not None:
        from jobs.running.clocks import SystemClock
        from scheduler.cli.delivery.api_scheduler import ApiScheduler
        from scheduler.cli.delivery.connection import run_remote

        return run_remote(connection, lambda api: work(ApiScheduler(api, SystemClock())))
    from scheduler.cli.delivery.store_scheduler import StoreScheduler
    from scheduler.cli.mutations import run_changing

    assert configuration is not None  # without a connection, the command has loaded it
    locate = None if copy.desired is None else copy.desired.locate
    return run_changing(configuration, lambda program: work(StoreScheduler(program)), locate=locate)


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
    from scheduler.cli.delivery.file_plans import plan_files

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
    from scheduler.cli.delivery.load import compute_load_change

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
