"""`drift`: show what runs otherwise than the files define it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.delivery.connection import KEY_VARIABLE, KeyOption, ReadKeyOption, UrlOption
from scheduler.cli.delivery.reports.instants import ZoneOption
from scheduler.cli.output import EXIT_CHANGES, fail, show_json
from scheduler.cli.selection import FilesArgument

if TYPE_CHECKING:
    from scheduler.cli.delivery.drift import DriftReport
    from scheduler.cli.delivery.port import SchedulerReader

SetOption = Annotated[
    str | None,
    typer.Option(
        "--set",
        metavar="NAME",
        help="Name of the set of stored jobs. (default: the jobs of the scheduler's job files)",
        show_default=False,
    ),
]


def drift(
    files: FilesArgument,
    owner: SetOption = None,
    url: UrlOption = None,
    key_variable: KeyOption = KEY_VARIABLE,
    read_key_variable: ReadKeyOption = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for an issue or a message.")] = False,
    zone: ZoneOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what runs otherwise than the files define it: jobs, fields, and who changed them when.

    Nothing is changed. The audit trail names the caller of the latest change of a stored job. Exit code 0: what runs is
    as the files, 3: it differs, 2: a file is invalid.

    \b
    Examples:
      drift jobs/ --set reports
      drift jobs/ --url https://scheduler.example.com --markdown
    """
    from scheduler.cli.commands.delivery.drift_text import drift_to_json, show_drift, write_drift
    from scheduler.cli.delivery.connection import read_connection
    from scheduler.cli.delivery.drift import find_drift
    from scheduler.cli.delivery.planning import PlanOptions, read_comparison
    from scheduler.cli.delivery.reports.instants import parse_zone_option

    if as_json and as_markdown:
        fail("--json and --markdown exclude each other")
    shown_zone = parse_zone_option(zone)
    compared = read_comparison("drift", files, owner, read_connection(url, key_variable, read_key_variable))

    async def work(scheduler: SchedulerReader) -> DriftReport:
        found = await compared.plan_with(scheduler, PlanOptions(has_review=False))
        return await find_drift(scheduler, found.plan, found.sections or ())

    report = compared.run(work)
    if as_json:
        show_json(drift_to_json(report))
    elif as_markdown:
        print(write_drift(report, shown_zone), end="")
    else:
        show_drift(report, shown_zone)
    if report.is_drifted:
        raise typer.Exit(EXIT_CHANGES)
