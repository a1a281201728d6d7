"""`plan`: show what a working copy would change: a set of stored jobs, or the job files of a scheduler."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.delivery.connection import KEY_VARIABLE, KeyOption, ReadKeyOption, UrlOption, read_connection
from scheduler.cli.delivery.reports.instants import ZoneOption, parse_zone_option
from scheduler.cli.output import EXIT_CHANGES, EXIT_FAILED, fail
from scheduler.cli.selection import AdoptOption, FilesArgument, LiteralOption

if TYPE_CHECKING:
    from scheduler.cli.delivery.planning import CopyComparison, PlannedChanges, PlanOptions

_SetOption = Annotated[
    str | None,
    typer.Option(
        "--set",
        metavar="NAME",
        help="Name of the set that owns the jobs. (default: the files are the job files of the scheduler)",
        show_default=False,
    ),
]
_AlertsOption = Annotated[
    str | None,
    typer.Option(
        "--alerts-since",
        metavar="WHEN",
        help="Show what changed alerts would have notified since then: ISO 8601, UTC by default; or 7d.",
    ),
]
_AvailableOption = Annotated[
    bool,
    typer.Option(
        "--if-available",
        help="Warn, with exit code 0, if the scheduler of --url does not answer or cannot plan, as an older version.",
    ),
]
_REPLAYED = timedelta(days=7)
"""With --markdown, unless --alerts-since names another begin."""


def plan(
    files: FilesArgument,
    owner: _SetOption = None,
    adopt: AdoptOption = False,
    allow_literal: LiteralOption = False,
    url: UrlOption = None,
    key_variable: KeyOption = KEY_VARIABLE,
    read_key_variable: ReadKeyOption = None,
    if_available: _AvailableOption = False,
    alerts_since: _AlertsOption = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a comment for a pull request.")] = False,
    zone: ZoneOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as POST /api/sets/NAME/plan.")] = False,
) -> None:
    """Show what a working copy would change: jobs, fields, next runs. Nothing is changed.

    With --set, the files contain the whole set, which `apply` stores: its jobs that they do not contain would be
    deleted. Without it, they are compared with the jobs of job files that run. Exit code 0: nothing to change, 3:
    there are changes, 1: a conflict prevents them, 2: a file is invalid.

    \b
    Examples:
      plan jobs/reports.yaml --set reports
      plan jobs/ --set reports --json
      plan jobs/reports.yaml --set reports --alerts-since 7d
      plan jobs/ --url https://scheduler.example.com --markdown > comment.md
    """
    from scheduler.cli.delivery.planning import PlanOptions, read_comparison

    _check_options(as_json and as_markdown, if_available and url is None)
    since = _parse_since(alerts_since, as_markdown)
    options = PlanOptions(adopt, allow_literal, alerts_since=since, has_load=as_markdown, zone=parse_zone_option(zone))
    compared = read_comparison("plan", files, owner, read_connection(url, key_variable, read_key_variable))
    found = compared.plan(options, if_available=if_available)
    if isinstance(found, str):
        _warn(found, compared, as_json, as_markdown)
        return
    _show(found, options, as_json, as_markdown)
    if found.plan.conflicts:
        raise typer.Exit(EXIT_FAILED)
    if found.plan.added or found.plan.changed or found.plan.removed or found.sections:
        raise typer.Exit(EXIT_CHANGES)


def _check_options(has_two_formats: bool, needs_url: bool) -> None:
    if has_two_formats:
        fail("--json and --markdown exclude each other")
    if needs_url:
        fail("--if-available needs --url")


def _parse_since(text: str | None, as_markdown: bool) -> datetime | None:
    from scheduler.cli.commands.stored_jobs.plan_alerts import parse_alerts_since

    if text is not None:
        return parse_alerts_since(text)
    return datetime.now(UTC) - _REPLAYED if as_markdown else None


def _warn(reason: str, compared: CopyComparison, as_json: bool, as_markdown: bool) -> None:
    """Report that no plan was made. `reason`: a clause."""
    from scheduler.cli.output import print_warning, show_json

    print_warning(f"there is no plan: {reason}")
    if as_markdown:
        from scheduler.cli.delivery.reports.plan_markdown import write_missing_plan

        print(write_missing_plan(reason, compared.copy.owner, len(compared.copy.jobs)), end="")
    elif as_json:
        show_json(json.dumps({"unavailable": reason}, indent=2, ensure_ascii=False))


def _show(found: PlannedChanges, options: PlanOptions, as_json: bool, as_markdown: bool) -> None:
    if as_markdown:
        from scheduler.cli.delivery.reports.plan_markdown import PlanReport, write_plan

        assert found.load is not None  # the options demand it
        report = PlanReport(found.plan, found.definitions, found.load, found.alerts, options.zone, found.sections)
        print(write_plan(report), end="")
        return
    from scheduler.cli.commands.stored_jobs.plan_alerts import PlanAlerts
    from scheduler.cli.commands.stored_jobs.plan_text import show_plan

    alerts = None if options.alerts_since is None else PlanAlerts(found.alerts)
    show_plan(found.plan, as_json, alerts, found.sections)
