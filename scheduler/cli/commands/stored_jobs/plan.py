"""`plan`: show what a desired set of stored jobs would change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.commands.stored_jobs.set_options import AdoptOption, FilesArgument, SetOption, load_set
from scheduler.cli.output import EXIT_CHANGES, EXIT_FAILED

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from scheduler.app import Program
    from scheduler.operations.stored_jobs.sets import SetPlan


def plan(
    files: FilesArgument,
    owner: SetOption,
    adopt: AdoptOption = False,
    alerts_since: Annotated[
        str | None,
        typer.Option(
            "--alerts-since",
            metavar="WHEN",
            help="Show what changed alerts would have notified since then: ISO 8601, UTC by default; or 7d.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as POST /api/sets/NAME/plan.")] = False,
) -> None:
    """Show what `apply` of a set of stored jobs would change: jobs, fields, next runs. Nothing is changed.

    The files contain the whole set: stored jobs of the set that they do not contain would be deleted. Exit code 0:
    nothing to change, 3: there are changes, 1: a conflict prevents them, 2: a file is invalid.

    \b
    Examples:
      plan jobs/reports.yaml --set reports
      plan jobs/ --set reports --json
      plan jobs/reports.yaml --set reports --alerts-since 7d
    """
    from scheduler.cli.commands.stored_jobs.plan_alerts import PlanAlerts, backtest_plan, parse_alerts_since
    from scheduler.cli.commands.stored_jobs.plan_text import has_changes, show_plan
    from scheduler.cli.mutations import run_changing
    from scheduler.identity.command_caller import command_caller

    since = None if alerts_since is None else parse_alerts_since(alerts_since)
    configuration, desired = load_set("plan", files, owner)

    def work(program: Program) -> Awaitable[SetPlan]:
        return program.operations.job_sets.plan(owner, desired.document, command_caller(), adopt=adopt)

    found = run_changing(configuration, work, locate=desired.locate)
    alerts = None if since is None else PlanAlerts(backtest_plan(found, desired, since, configuration))
    show_plan(found, as_json, alerts)
    if found.conflicts:
        raise typer.Exit(EXIT_FAILED)
    if has_changes(found):
        raise typer.Exit(EXIT_CHANGES)
