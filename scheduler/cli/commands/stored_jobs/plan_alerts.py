"""What changed alert rules of a planned set would have notified, against what was. Called by `plan --alerts-since`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from scheduler.cli.output import escape_controls, fail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from config.desired_sets import DesiredSet
    from config.loading import Configuration
    from jobs.schedules import Schedule
    from scheduler.alerting.backtest.backtester import BacktestReport
    from scheduler.app import ReadOnlyProgram
    from scheduler.catalog.catalog import JobSnapshot
    from scheduler.operations.stored_jobs.sets import SetPlan

_FIELDS = frozenset({"alerts", "alert_parent", "slo", "tags"})
"""Fields of a job that decide what is notified: `slo` has burn alerts. Tags select rules, groups, routes, windows and
silences.
"""


class PlanAlerts(NamedTuple):
    """The section that the option adds. `report` None: no job changes its alerts."""

    report: BacktestReport | None


def parse_alerts_since(since: str) -> datetime:
    """Return the begin of the backtest; an invalid one ends the command with 2."""
    from scheduler.queries.time_range import InvalidTimeRange, parse_time_range

    try:
        found = parse_time_range(since, None, datetime.now(UTC)).since
    except InvalidTimeRange as error:
        fail(f"--alerts-since: {error}")
    assert found is not None
    return found


def backtest_plan(
    plan: SetPlan, desired: DesiredSet, since: datetime, configuration: Configuration
) -> BacktestReport | None:
    """Return the backtest of the jobs whose alerts the plan changes, and of the groups that they join or leave.

    None without such a job. An unavailable store ends the command with 1.
    """
    from scheduler.cli.context import run_in_store

    changed = find_changed_alerts(plan)
    if not changed:
        return None

    async def work(program: ReadOnlyProgram) -> BacktestReport:
        from scheduler.alerting.backtest.backtester import BacktestRequest

        settings = configuration.settings
        edited = edit_snapshot(program.snapshot, plan, desired, settings.default_schedule)
        subjects = changed | _find_changed_groups(changed, program.snapshot, edited)
        request = BacktestRequest(since, datetime.now(UTC), subjects)
        return await program.backtester.run(request, program.snapshot, edited)

    return run_in_store(configuration, work)


def find_changed_alerts(plan: SetPlan) -> frozenset[str]:
    """Return the names of the jobs whose alerts, alert parents or tags the plan changes."""
    return frozenset(
        one.name for one in plan.changed if any(re.split(r"[.\[]", each.path)[0] in _FIELDS for each in one.fields)
    )


def edit_snapshot(
    in_force: JobSnapshot, plan: SetPlan, desired: DesiredSet, default_schedule: Schedule | None
) -> JobSnapshot:
    """Return the jobs in force after the plan."""
    from config.stored_jobs import LocatedStoredJob, StoredJobDefiner
    from scheduler.catalog.catalog import CatalogJob, JobSnapshot

    definer = StoredJobDefiner(default_schedule)
    jobs = {entry.job.name: entry for entry in in_force}
    for one in plan.removed:
        jobs.pop(one.name, None)
    for one in (*plan.added, *plan.changed):
        located = definer.define(one.name, desired.definitions[one.name])
        if isinstance(located, LocatedStoredJob):
            jobs[one.name] = CatalogJob(located.job, located.origin)
    return JobSnapshot(jobs.values(), datetime.now(UTC), alerting=in_force.alerting)


def alerts_to_document(alerts: PlanAlerts) -> dict[str, Any] | None:
    """Return the fields of `alerts backtest --json`; None without a changed job."""
    from scheduler.cli.commands.alerts.backtest_text import report_to_document

    return None if alerts.report is None else report_to_document(alerts.report, UTC)


def show_plan_alerts(alerts: PlanAlerts) -> None:
    """Print the messages that were or would be sent, after a heading."""
    from scheduler.cli.commands.alerts.backtest_text import show_report

    report = alerts.report
    if report is None:
        print("alerts: no job changes its alerts, alert parents or tags")
        return
    names = ", ".join(sorted(report.request.jobs or ()))
    print(escape_controls(f"alerts of {names}: what was notified, and what would be"))
    show_report(report, UTC)


def _find_changed_groups(changed: frozenset[str], before: JobSnapshot, after: JobSnapshot) -> frozenset[str]:
    """Return the groups of which one of these jobs is a member before or after the plan alone."""
    from scheduler.alerting.rule_book import RuleBook

    sides: list[Mapping[str, tuple[str, ...]]] = [RuleBook(each).groups_by_job for each in (before, after)]
    return frozenset(group for name in changed for group in set(sides[0].get(name, ())) ^ set(sides[1].get(name, ())))
